"""What admission control tells Prometheus."""

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from observability.metrics.histogram import exemplar

OUTCOMES: Final = ("admitted", "queued", "queue_full", "timeout")
"""How asking for a turn ends: at once, after a wait, or with a 503 because of the queue's length or its deadline."""

WAIT_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class AdmissionMetrics:
    """Counts requests by how admission ended, and shows the queue."""

    def __init__(self, registry: CollectorRegistry) -> None:
        counter = Counter(
            "admission_requests_total",
            "Requests by how admission ended: `queue_full` and `too_late` were answered 503.",
            ("outcome",),
            registry=registry,
        )
        self._counted = {outcome: counter.labels(outcome) for outcome in OUTCOMES}
        self._wait = Histogram(
            "admission_wait_seconds",
            "Time that a request waited for its turn, or until it was refused; those that need not wait are left out.",
            buckets=WAIT_BUCKETS_S,
            registry=registry,
        )
        self._running = Gauge("admission_inprogress_requests", "Requests in progress.", registry=registry)
        self._waiting = Gauge("admission_queued_requests", "Requests in the queue.", registry=registry)
        self._limit = Gauge(
            "admission_limit_requests",
            "Requests that may be worked on at once at this moment: fewer while the processor is busy.",
            registry=registry,
        )

    def counted(self, outcome: str) -> None:
        """Count a request by one of `OUTCOMES`."""
        self._counted[outcome].inc()

    def waited(self, seconds: float) -> None:
        """Note the wait of a request."""
        self._wait.observe(seconds, exemplar())

    def watch(self, *, limit: Callable[[], int], running: Callable[[], int], waiting: Callable[[], int]) -> None:
        """Show a queue from now on."""
        self._limit.set_function(limit)
        self._running.set_function(running)
        self._waiting.set_function(waiting)
