"""Counts of the spans, logs and error reports that were exported, failed or dropped."""

from collections.abc import Iterator
from threading import Lock

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from observability.core.collector import DescribedCollector


class ExportCounts(DescribedCollector):
    def __init__(self, registry: CollectorRegistry) -> None:
        self._lock = Lock()
        self._counts: dict[tuple[str, str], int] = {}
        self._queued: dict[str, int] = {}
        registry.register(self)

    def try_enqueue(self, signal: str, *, limit: int) -> bool:
        """Count an item as queued and return True, or as dropped if `limit` items are queued."""
        with self._lock:
            queued = self._queued.get(signal, 0)
            if queued < limit:
                self._queued[signal] = queued + 1
                return True
        self.dropped(signal)
        return False

    def enqueued(self, signal: str, number: int) -> None:
        """Count items that entered a queue with a limit of its own."""
        with self._lock:
            self._queued[signal] = self._queued.get(signal, 0) + number

    def dequeued(self, signal: str, outcome: str, number: int) -> None:
        """Count items that left the queue, by outcome."""
        with self._lock:
            self._queued[signal] = self._queued.get(signal, 0) - number
            self._counts[signal, outcome] = self._counts.get((signal, outcome), 0) + number

    def dropped(self, signal: str) -> None:
        """Count an item that did not enter the queue."""
        with self._lock:
            self._counts[signal, "dropped"] = self._counts.get((signal, "dropped"), 0) + 1

    def undelivered(self, signal: str) -> int:
        """Return how many items failed or were dropped."""
        with self._lock:
            return self._counts.get((signal, "failed"), 0) + self._counts.get((signal, "dropped"), 0)

    def collect(self) -> Iterator[Metric]:
        with self._lock:
            counts, queued = self._counts.copy(), self._queued.copy()
        total = CounterMetricFamily(
            "observability_export",
            "Spans, logs and error reports by outcome: exported, failed, or dropped from a full queue.",
            labels=("signal", "outcome"),
        )
        for (signal, outcome), number in sorted(counts.items()):
            total.add_metric((signal, outcome), number)
        yield total
        queue = GaugeMetricFamily(
            "observability_export_queue_size", "Spans, logs and error reports queued for export.", labels=("signal",)
        )
        for signal, number in sorted(queued.items()):
            queue.add_metric((signal,), number)
        yield queue
