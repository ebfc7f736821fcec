"""Spans on their way out: a bounded queue, a thread, and a count of what became of every span."""

from collections.abc import Iterator, Sequence
from threading import Lock, Thread
from typing import Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from observability.finished_request import FinishedRequest
from observability.otlp import PlainSpanExporter
from observability.settings import TelemetrySettings

OUTCOMES: Final = ("exported", "failed", "dropped")


class ExportCounts(Collector):
    """`observability_export_total{signal,outcome}` and the queue's length, by signal."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._lock = Lock()
        self._counts: dict[tuple[str, str], int] = {}
        self._queued: dict[str, int] = {}
        registry.register(self)

    def admit(self, signal: str, *, limit: int) -> bool:
        """Count one more in the queue and return True, or count it as dropped when `limit` are there."""
        with self._lock:
            queued = self._queued.get(signal, 0)
            if queued < limit:
                self._queued[signal] = queued + 1
                return True
        self.refused(signal)
        return False

    def entered(self, signal: str, number: int) -> None:
        """Count what entered a queue that has a limit of its own."""
        with self._lock:
            self._queued[signal] = self._queued.get(signal, 0) + number

    def left(self, signal: str, outcome: str, number: int) -> None:
        """Count what left the queue, and how it ended."""
        with self._lock:
            self._queued[signal] = self._queued.get(signal, 0) - number
            self._counts[signal, outcome] = self._counts.get((signal, outcome), 0) + number

    def refused(self, signal: str) -> None:
        """Count one that never entered the queue."""
        with self._lock:
            self._counts[signal, "dropped"] = self._counts.get((signal, "dropped"), 0) + 1

    def lost(self, signal: str) -> int:
        """Return how many failed or were dropped so far."""
        with self._lock:
            return self._counts.get((signal, "failed"), 0) + self._counts.get((signal, "dropped"), 0)

    def collect(self) -> Iterator[Metric]:
        """Yield the counts of every signal that is exported."""
        with self._lock:
            counts, queued = self._counts.copy(), self._queued.copy()
        total = CounterMetricFamily(
            "observability_export",
            "Spans, logs and error reports by what became of them: exported, failed, or dropped for lack of room.",
            labels=("signal", "outcome"),
        )
        for (signal, outcome), number in sorted(counts.items()):
            total.add_metric((signal, outcome), number)
        yield total
        queue = GaugeMetricFamily(
            "observability_export_queue_size", "Spans, logs and error reports that wait for export.", labels=("signal",)
        )
        for signal, number in sorted(queued.items()):
            queue.add_metric((signal,), number)
        yield queue


class _CountedExporter(SpanExporter):
    def __init__(self, exporter: SpanExporter, counts: ExportCounts) -> None:
        self._exporter = exporter
        self._counts = counts

    def export(self, spans: Sequence[ReadableSpan | FinishedRequest]) -> SpanExportResult:
        """Export the batch and count how that went; of a finished request the span is made here."""
        outcome = "failed"
        try:
            readable = [span.readable() if isinstance(span, FinishedRequest) else span for span in spans]
            result = self._exporter.export(readable)
            if result is SpanExportResult.SUCCESS:
                outcome = "exported"
            return result
        finally:
            self._counts.left("spans", outcome, len(spans))

    def shutdown(self) -> None:
        """Stop exporting."""
        self._exporter.shutdown()


class BoundedSpanProcessor(BatchSpanProcessor):
    """The SDK's batch processor, which refuses and counts spans when its queue is full instead of losing older ones."""

    def __init__(self, exporter: SpanExporter, *, counts: ExportCounts, settings: TelemetrySettings) -> None:
        super().__init__(
            _CountedExporter(exporter, counts),
            max_queue_size=settings.export_queue_size,
            schedule_delay_millis=settings.export_delay_ms,
            max_export_batch_size=min(settings.export_batch_size, settings.export_queue_size),
        )
        self._counts = counts
        self._limit = settings.export_queue_size

    def on_end(self, span: ReadableSpan) -> None:
        """Queue the span, if it is sampled and there is room."""
        if span.context and span.context.trace_flags.sampled and self._counts.admit("spans", limit=self._limit):
            super().on_end(span)

    def on_request_end(self, request: FinishedRequest) -> None:
        """Queue the span of a sampled request that is over, if there is room."""
        if self._counts.admit("spans", limit=self._limit):
            self._batch_processor.emit(request)  # type: ignore[arg-type]  # it only passes things on


class BorrowedSpanProcessor(SpanProcessor):
    """A processor that its maker shuts down; here it is only flushed."""

    def __init__(self, processor: SpanProcessor) -> None:
        self._processor = processor

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Pass the span on."""
        self._processor.on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        """Pass the span on."""
        self._processor.on_end(span)

    def shutdown(self) -> None:
        """Flush: the application may start again."""
        self._processor.force_flush()


def otlp_span_processor(settings: TelemetrySettings, counts: ExportCounts) -> BoundedSpanProcessor | None:
    """Return the processor that exports over OTLP/HTTP, or None without an endpoint."""
    endpoint = settings.otlp_traces_endpoint or (
        settings.otlp_endpoint and f"{settings.otlp_endpoint.rstrip('/')}/v1/traces"
    )
    if not endpoint or settings.traces_exporter == "none":
        return None
    exporter = PlainSpanExporter(
        endpoint=endpoint, headers=settings.otlp_headers or None, timeout=settings.otlp_timeout_s
    )
    return BoundedSpanProcessor(exporter, counts=counts, settings=settings)


def within(seconds: float, work: Thread) -> bool:
    """Run the thread for at most that long; return whether it ended. A daemon thread is left behind otherwise."""
    work.start()
    work.join(seconds)
    return not work.is_alive()
