"""Which server answered the reads, and how far the replica is behind."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

READ_REASONS: Final = {"replica": ("fresh",), "primary": ("down", "lagging", "read_your_writes", "retry")}
"""Why a role answered a read."""


class ReplicaMetrics:
    """Counts reads by who answered them, and shows the replica's state."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.lag = Gauge(
            "db_replication_lag_seconds",
            "Age of the oldest position in the primary's log that the replica has not replayed.",
            registry=registry,
        )
        self.up = Gauge(
            "db_replica_up", "Whether the replica answered when it was last asked, 1 or 0.", registry=registry
        )
        reads = Counter(
            "db_reads_total",
            "Sessions opened for reads, by who answered and why.",
            ("role", "reason"),
            registry=registry,
        )
        self._reads = {
            reason: reads.labels(role, reason) for role, reasons in READ_REASONS.items() for reason in reasons
        }

    def read(self, reason: str) -> None:
        """Count a session by why its role answered."""
        self._reads[reason].inc()
