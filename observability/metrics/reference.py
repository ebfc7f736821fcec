"""Every metric of a registry: its name, type, labels and help, and where the label values come from."""

from dataclasses import dataclass
from operator import attrgetter
from typing import Final

from prometheus_client import CollectorRegistry

from observability.compat.prometheus_client import families_with_labels

LABELS: Final = {
    "access": "of transactions: `read`, `write`",
    "cache": "names of caches in the code; `other` after 100; of what-if metrics `response`, `client`, `statement`",
    "client": "names given to `instrument(http_clients=…)`",
    "code": "status codes, `client_disconnected`, `other`; outgoing calls: status codes, `timeout`, `error`; "
    "WebSocket close codes from 1000 to 1015, `application` from 3000 to 4999, `rejected`, `failed`, `other`",
    "db_client_connection_pool_name": "roles given to `instrument(engines=…)`",
    "db_client_connection_state": "`used` (checked out), `idle` (checked in)",
    "direction": "`received`, `sent`",
    "encoding": "`identity`, `gzip`, `br`, `zstd`, `deflate`, `other`",
    "entries": "simulated sizes: `100`, `1000`, `10000`",
    "error": "classes of database errors; `other` after 100",
    "generation": "`0`, `1`, `2`",
    "handler": "route templates, `unmatched`; `none` outside of requests",
    "http_route": "of uses of connections, as `handler`; `other` after 100",
    "level": "`local`, `shared`, `edge`, `other`",
    "limiter": "`default`, names of limiters in the code; `other` after 100",
    "method": "HTTP methods, `other`",
    "operation": "SQL operations, `other`",
    "outcome": "of exports `exported`, `failed`, `dropped`",
    "result": "`hit`, `stale`, `miss`, `coalesced`, `error`, `other`",
    "reused": "`true`, `false`",
    "rows": "simulated page sizes: `20`, `50`, `100`",
    "server": "addresses of the clients given to `instrument(redis=…)`",
    "signal": "`spans`, `logs`, `errors`, `access_log`",
    "state": "tasks: `success`, `failure`, `retry`, `revoked`, `rejected`, `ignored`, `other`",
    "status": "classes of status codes, `1xx` to `5xx`; `client_disconnected`, `other`",
    "table": "tables that statements scan; `other` after 100",
    "task": "names of tasks; `other` after 200",
    "ttl": "simulated times to live in seconds: `10`, `60`, `300`, `3600`, `unlimited`",
    "where": "parts of this package",
    **dict.fromkeys(("implementation", "major", "minor", "patchlevel", "version"), "of the interpreter"),
}
"""Where the values of each label come from: a closed or a bounded set."""


@dataclass(frozen=True)
class MetricDescription:
    name: str
    """As exposed: counters with `_total`."""
    kind: str
    labels: tuple[str, ...]
    help: str


def metric_reference(registry: CollectorRegistry) -> list[MetricDescription]:
    """Return the registry's metrics by name, also those without samples."""
    metrics = {}
    for family, labels in families_with_labels(registry):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        metrics[name] = MetricDescription(name, family.type, labels, family.documentation)
    return sorted(metrics.values(), key=attrgetter("name"))
