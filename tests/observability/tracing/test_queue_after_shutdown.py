"""Nothing is queued after shutdown, whatever happened to it."""

from threading import Event

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from prometheus_client import CollectorRegistry

from observability import TelemetrySettings
from observability.export.counts import ExportCounts
from observability.tracing.span_processor import BoundedSpanProcessor

SETTINGS = TelemetrySettings(export_delay_ms=60_000)


class Blocked(SpanExporter):
    def __init__(self) -> None:
        self.released = Event()

    def export(self, spans: object) -> SpanExportResult:  # noqa: ARG002 the interface
        self.released.wait(60)
        return SpanExportResult.SUCCESS


@pytest.mark.parametrize("late", ["span", "export", "neither"])
def test_no_span_is_queued_after_shutdown(late: str) -> None:
    registry, exporter = CollectorRegistry(), Blocked()
    processor = BoundedSpanProcessor(exporter, counts=ExportCounts(registry), settings=SETTINGS)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    span = provider.get_tracer("test").start_span("open")
    provider.get_tracer("test").start_span("ended").end()
    if late == "export":
        processor.close()  # the time for the shutdown is over
        exporter.released.set()
        provider.shutdown()
    else:
        exporter.released.set()
        provider.shutdown()
        processor.close()
    if late == "span":
        assert isinstance(span, ReadableSpan)
        processor.on_end(span)

    def value(outcome: str) -> float:
        labels = {"signal": "spans", "outcome": outcome}
        return registry.get_sample_value("observability_export_total", labels) or 0

    assert registry.get_sample_value("observability_export_queue_size", {"signal": "spans"}) == 0
    expected = {"span": (1, 1), "export": (0, 1), "neither": (1, 0)}[late]
    assert (value("exported"), value("dropped")) == expected
