"""Metrics and queries without data in the embedded stack, with the reason. A test fails for an entry that has data."""

from typing import Final

from tests.grafana.exporters import EXPORTERS

NO_EXPORTER: Final = "the program is not part of the embedded stack"
NO_EDGE: Final = "the embedded stack has no edge"
NO_REPLICA: Final = "SQLite has no replica"
NOTHING_FAILS: Final = "it counts failures that the traffic does not cause"
TOO_YOUNG: Final = "the stack is younger than the hours of history that it needs"

SILENT_METRICS: Final = {
    **{name: f"{program}: {NO_EXPORTER}" for program, names in EXPORTERS.items() for name in names},
    "db_reads_total": NO_REPLICA,
    "db_replica_up": NO_REPLICA,
    "db_replication_lag_seconds": NO_REPLICA,
    "observability_errors_total": NOTHING_FAILS,
}
"""Metrics without a series; a query that reads one of them may have no data."""

SILENT_QUERIES: Final = {
    "CacheDown": NOTHING_FAILS,
    "CacheHitRatioCollapsed": TOO_YOUNG,
    "MemoryGrowth": TOO_YOUNG,
    "TasksFailing": NOTHING_FAILS,
    "TelemetryDropped": NOTHING_FAILS,
    "cache-down 1": NOTHING_FAILS,
    "flightdeck-caching: Purges at the edge A": NO_EDGE,
    "flightdeck-caching: Purges at the edge B": NO_EDGE,
}
"""Queries without data although every metric that they read exists."""

SILENT_FOR_OTHERS: Final = {
    "flightdeck-service: Waits, p95 B": "it has no limiter of its own; the default one is not timed",
}
"""The same for boards that show the bookshop, which does less than the flights service."""
