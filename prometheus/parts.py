"""The parts that a service may have, by the metrics that each of them exposes."""

from collections.abc import Mapping
from typing import Final, Literal, get_args

Part = Literal[
    "admission",
    "cache",
    "circuits",
    "clients",
    "collector",
    "compression",
    "database",
    "export",
    "host",
    "lab",
    "monitoring",
    "pool",
    "postgresql",
    "rabbitmq",
    "redis",
    "replica",
    "tasks",
    "threads",
    "varnish",
    "whatif",
]

PREFIXES: Final[Mapping[str, Part]] = {
    "admission_": "admission",
    "cache_": "cache",
    "upstream_": "circuits",
    "http_client_": "clients",
    "otelcol_": "collector",
    "compression_": "compression",
    "db_client_operation_": "database",
    "db_queries_per_request": "database",
    "db_n_plus_one_": "database",
    "observability_export_": "export",
    "node_": "host",
    "lab_": "lab",
    "prometheus_": "monitoring",
    "alertmanager_": "monitoring",
    "db_client_connection_": "pool",
    "pg_": "postgresql",
    "rabbitmq_": "rabbitmq",
    "redis_": "redis",
    "db_replica_": "replica",
    "db_replication_": "replica",
    "db_reads_total": "replica",
    "tasks_": "tasks",
    "task_": "tasks",
    "thread_limiter_": "threads",
    "varnish_": "varnish",
    "whatif_": "whatif",
}
"""What every instrumented service has (requests, processes, the event loop) is in no part."""

JOBS: Final[Mapping[str, Part]] = {"worker": "tasks", "alertmanager": "monitoring", "prometheus": "monitoring"}
"""Parts whose targets are a job of their own."""

SHARED: Final[frozenset[Part]] = frozenset(
    {"collector", "host", "lab", "monitoring", "postgresql", "rabbitmq", "redis", "varnish"}
)
"""Programs with targets of their own, which several services may use."""

EVERY: Final[tuple[Part, ...]] = get_args(Part)


def part_of(name: str, job: str = "") -> Part | None:
    """Return the part that exposes this metric under this job; None for what every service has."""
    if job in JOBS:
        return JOBS[job]
    return next((part for prefix, part in PREFIXES.items() if name.startswith(prefix)), None)
