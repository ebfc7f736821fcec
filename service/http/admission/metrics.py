"""Metrics of admission control."""

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from observability.metrics.histogram import exemplar

OUTCOMES: Final = ("admitted", "queued", "queue_full", "timeout")
"""`admitted` at once, `queued` and then admitted, or rejected with 503: `queue_full`, `timeout`."""

WAIT_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class AdmissionMetrics:
    """Counts requests by admission outcome and shows the state of the limiter."""

    def __init__(self, registry: CollectorRegistry) -> None:
        counter = Counter(
            "admission_requests_total",
            "Requests by admission outcome: `queue_full` and `timeout` were rejected with 503.",
            ("outcome",),
            registry=registry,
        )
        self._outcomes = {outcome: counter.labels(outcome) for outcome in OUTCOMES}
        self._wait = Histogram(
            "admission_wait_seconds",
            "Time in the queue until a request was admitted or rejected; requests that were not queued are left out.",
            buckets=WAIT_BUCKETS_S,
            registry=registry,
        )
        self._in_progress = Gauge("admission_inprogress_requests", "Requests in progress.", registry=registry)
        self._queued = Gauge("admission_queued_requests", "Requests in the queue.", registry=registry)
        self._limit = Gauge(
            "admission_limit_requests",
            "Current concurrency limit: lower while the processor is busy.",
            registry=registry,
        )

    def count(self, outcome: str) -> None:
        """Count a request by one of `OUTCOMES`."""
        self._outcomes[outcome].inc()

    def observe_wait(self, seconds: float) -> None:
        self._wait.observe(seconds, exemplar())

    def watch(self, *, limit: Callable[[], int], in_progress: Callable[[], int], queued: Callable[[], int]) -> None:
        """Read the gauges from these functions at every scrape."""
        self._limit.set_function(limit)
        self._in_progress.set_function(in_progress)
        self._queued.set_function(queued)
