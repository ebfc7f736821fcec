"""Counts of the spans, logs and error reports that were exported, failed or dropped."""

from collections.abc import Iterator
from math import inf
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

    def queue(self, signal: str, *, limit: float = inf) -> "ExportQueue":
        """Return the counts of one queue, which are right after it was closed too."""
        return ExportQueue(self, signal, limit)

    def enqueued(self, signal: str, number: int) -> None:
        """Count items that entered a queue."""
        with self._lock:
            self._queued[signal] = self._queued.get(signal, 0) + number

    def dequeued(self, signal: str, outcome: str, number: int) -> None:
        """Count items that left the queue, by outcome."""
        if not number:
            return
        with self._lock:
            self._queued[signal] = self._queued.get(signal, 0) - number
            self._counts[signal, outcome] = self._counts.get((signal, outcome), 0) + number

    def dropped(self, signal: str, number: int = 1) -> None:
        """Count items that did not enter the queue."""
        if not number:
            return
        with self._lock:
            self._counts[signal, "dropped"] = self._counts.get((signal, "dropped"), 0) + number

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


class ExportQueue:
    """The counts of a queue from a start to a stop; the next start has a queue of its own."""

    def __init__(self, counts: ExportCounts, signal: str, limit: float) -> None:
        self._counts = counts
        self._signal = signal
        self._limit = limit
        self._lock = Lock()
        self._queued = 0
        self._closed = False

    def try_enqueue(self, number: int = 1) -> bool:
        """Count items as queued and return True, or as dropped if the queue is full or closed."""
        with self._lock:
            if not self._closed and self._queued + number <= self._limit:
                self._queued += number
                self._counts.enqueued(self._signal, number)
                return True
        self._counts.dropped(self._signal, number)
        return False

    def enqueue(self, number: int) -> int:
        """Count as many items as there is room for as queued, the others as dropped; return how many are queued."""
        with self._lock:
            room = 0 if self._closed else max(0, int(min(number, self._limit - self._queued)))
            self._queued += room
            if room:
                self._counts.enqueued(self._signal, room)
        self._counts.dropped(self._signal, number - room)
        return room

    def dequeued(self, outcome: str, number: int) -> None:
        """Count items that left the queue, by outcome; after `close()` they are counted already."""
        with self._lock:
            if not self._closed:
                self._queued -= number
                self._counts.dequeued(self._signal, outcome, number)

    def close(self) -> None:
        """Count what is still queued as dropped: nothing will export it."""
        with self._lock:
            self._closed = True
            self._counts.dequeued(self._signal, "dropped", self._queued)
            self._queued = 0
