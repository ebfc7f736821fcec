"""The span processors: a bounded queue with a thread that exports, and a count of spans by outcome."""

import logging
from collections.abc import Sequence
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from observability.compat.opentelemetry import enqueue
from observability.core.extras import MissingExtra, requires
from observability.core.settings import TelemetrySettings
from observability.export.counts import ExportCounts, ExportQueue
from observability.tracing.fast_path.child_snapshot import ChildSnapshot
from observability.tracing.fast_path.request_span import SpanSnapshot

logger: Final = logging.getLogger("observability")


Snapshot = SpanSnapshot | ChildSnapshot


class _CountedExporter(SpanExporter):
    def __init__(self, exporter: SpanExporter, queue: ExportQueue) -> None:
        self._exporter: Any = exporter
        self._accepts_snapshots = getattr(exporter, "accepts_snapshots", False)
        self._queue = queue

    def export(self, spans: Sequence[ReadableSpan | Snapshot]) -> SpanExportResult:
        """Export the batch and count the outcome; other exporters than ours get spans instead of snapshots."""
        outcome = "failed"
        try:
            if not self._accepts_snapshots:
                spans = [span.readable() if isinstance(span, Snapshot) else span for span in spans]
            result: SpanExportResult = self._exporter.export(spans)
            if result is SpanExportResult.SUCCESS:
                outcome = "exported"
            return result
        finally:
            self._queue.dequeued(outcome, len(spans))

    def shutdown(self) -> None:
        self._exporter.shutdown()


class BoundedSpanProcessor(BatchSpanProcessor):
    """The SDK's batch processor; when its queue is full, it drops and counts new spans instead of older ones."""

    def __init__(self, exporter: SpanExporter, *, counts: ExportCounts, settings: TelemetrySettings) -> None:
        self._queue = counts.queue("spans", limit=settings.export_queue_size)
        super().__init__(
            _CountedExporter(exporter, self._queue),
            max_queue_size=settings.export_queue_size,
            schedule_delay_millis=settings.export_delay_ms,
            max_export_batch_size=min(settings.export_batch_size, settings.export_queue_size),
        )
        self._enqueue = enqueue(self) or self._enqueue_readable

    def on_end(self, span: ReadableSpan) -> None:
        if span.context and span.context.trace_flags.sampled and self._queue.try_enqueue():
            super().on_end(span)

    def on_snapshots(self, spans: Sequence[Snapshot]) -> None:
        """Queue spans that have ended; those that the queue has no room for are dropped and counted."""
        for span in spans[: self._queue.enqueue(len(spans))]:
            self._enqueue(span)

    def close(self) -> None:
        """Count the spans that were not exported in time, and later ones, as dropped."""
        self._queue.close()

    def _enqueue_readable(self, span: Snapshot) -> None:
        super().on_end(span.readable())


class NonOwningSpanProcessor(SpanProcessor):
    """A processor whose owner shuts it down; here it is only flushed, because the application may start again."""

    def __init__(self, processor: SpanProcessor) -> None:
        self._processor = processor

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        self._processor.on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        self._processor.on_end(span)

    def shutdown(self) -> None:
        self._processor.force_flush()


def otlp_span_processor(settings: TelemetrySettings, counts: ExportCounts) -> BoundedSpanProcessor | None:
    """Return the processor that exports over OTLP/HTTP, or None without an endpoint."""
    endpoint = settings.otlp_url("traces")
    if not endpoint or settings.traces_exporter == "none":
        return None
    try:
        with requires("otlp", needed_for=f"exporting spans to {endpoint}"):
            from observability.tracing.fast_path.otlp import PlainSpanExporter  # noqa: PLC0415 an extra
    except MissingExtra as error:
        logger.error("%s; no spans are exported", error)  # noqa: TRY400 the traceback adds nothing
        return None
    exporter = PlainSpanExporter(
        endpoint=endpoint, headers=settings.otlp_headers or None, timeout=settings.otlp_timeout_s
    )
    return BoundedSpanProcessor(exporter, counts=counts, settings=settings)
