"""Spans on their way out: a bounded queue, a thread, and a count of what became of every span."""

from collections.abc import Sequence

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from observability.core.settings import TelemetrySettings
from observability.export.counts import ExportCounts
from observability.tracing.fast_path.otlp import PlainSpanExporter
from observability.tracing.fast_path.request_span import SpanSnapshot


class _CountedExporter(SpanExporter):
    def __init__(self, exporter: SpanExporter, counts: ExportCounts) -> None:
        self._exporter = exporter
        self._counts = counts

    def export(self, spans: Sequence[ReadableSpan | SpanSnapshot]) -> SpanExportResult:
        """Export the batch and count how that went; of a finished request the span is made here."""
        outcome = "failed"
        try:
            readable = [span.readable() if isinstance(span, SpanSnapshot) else span for span in spans]
            result = self._exporter.export(readable)
            if result is SpanExportResult.SUCCESS:
                outcome = "exported"
            return result
        finally:
            self._counts.dequeued("spans", outcome, len(spans))

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
        if span.context and span.context.trace_flags.sampled and self._counts.try_enqueue("spans", limit=self._limit):
            super().on_end(span)

    def on_request_end(self, request: SpanSnapshot) -> None:
        """Queue the span of a sampled request that is over, if there is room."""
        if self._counts.try_enqueue("spans", limit=self._limit):
            self._batch_processor.emit(request)  # type: ignore[arg-type]  # it only passes things on


class NonOwningSpanProcessor(SpanProcessor):
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
