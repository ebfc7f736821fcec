"""The counts of queues: what is queued, and with which outcome it left, after shutdown too."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from socket import create_server

import pytest
import sentry_sdk
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from observability import TelemetrySettings
from observability.errors.reporter import ErrorReporter
from observability.export.counts import ExportCounts
from observability.logs.otlp import log_export
from observability.tracing.span_processor import otlp_span_processor

OUTCOMES = ("exported", "failed", "dropped")
RESOURCE = Resource({"service.instance.id": "1"})


class Registry:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.counts = ExportCounts(self.registry)

    def queued(self, signal: str) -> float | None:
        return self.registry.get_sample_value("observability_export_queue_size", {"signal": signal})

    def outcomes(self, signal: str) -> tuple[float, ...]:
        labels = ({"signal": signal, "outcome": outcome} for outcome in OUTCOMES)
        return tuple(self.registry.get_sample_value("observability_export_total", one) or 0 for one in labels)


Started = tuple[Callable[[], None], Callable[[], None]]
"""What produces an item of a signal, and what stops its export."""


def spans(settings: TelemetrySettings, counts: ExportCounts) -> Started:
    processor = otlp_span_processor(settings, counts)
    assert processor is not None
    provider = TracerProvider(shutdown_on_exit=False)

    def produce() -> None:
        span = provider.get_tracer("test").start_span("one")
        span.end()
        assert isinstance(span, ReadableSpan)
        processor.on_end(span)

    return produce, processor.close


def logs(settings: TelemetrySettings, counts: ExportCounts) -> Started:
    export = log_export(settings, counts, RESOURCE)
    assert export is not None
    record = logging.makeLogRecord({"name": "shop", "msg": "one", "levelname": "INFO"})
    return lambda: export.emit(record), lambda: export.stop(timeout_s=0.05)


def errors(settings: TelemetrySettings, counts: ExportCounts) -> Started:
    reporter = ErrorReporter(settings=settings, counts=counts)
    reporter.start(RESOURCE)
    transport = sentry_sdk.get_client().transport
    assert transport is not None

    def produce() -> None:
        if sentry_sdk.is_initialized():
            reporter.report(ValueError("one"))
            return
        # A thread that began its report before the shutdown.
        envelope = sentry_sdk.envelope.Envelope()
        envelope.add_event({"message": "one"})
        transport.capture_envelope(envelope)

    return produce, lambda: reporter.stop(timeout_s=0.05)


@contextmanager
def silent_server() -> Iterator[int]:
    """Yield the port of a server that accepts connections and never responds."""
    with create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("signal", [spans, logs, errors], ids=lambda signal: signal.__name__)
def test_nothing_is_queued_after_a_shutdown_before_a_slow_back_end_responded(
    signal: Callable[[TelemetrySettings, ExportCounts], Started],
) -> None:
    registry, name = Registry(), signal.__name__
    with silent_server() as port:
        settings = TelemetrySettings(
            logs_exporter="otlp",
            otlp_endpoint=f"http://127.0.0.1:{port}",
            otlp_timeout_s=1,
            sentry_dsn=SecretStr(f"http://key@127.0.0.1:{port}/1"),
            export_delay_ms=60_000,
        )
        produce, stop = signal(settings, registry.counts)
        produce()
        assert registry.queued(name) == 1
        stop()
        assert (registry.queued(name), registry.outcomes(name)) == (0, (0, 0, 1))
        produce()
        assert (registry.queued(name), registry.outcomes(name)) == (0, (0, 0, 2))


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_an_outcome_after_the_close_is_counted_as_dropped_only(outcome: str) -> None:
    registry = Registry()
    queue = registry.counts.queue("spans", limit=2)
    assert [queue.try_enqueue(), queue.try_enqueue(), queue.try_enqueue()] == [True, True, False]
    queue.close()
    queue.dequeued(outcome, 2)
    assert (registry.queued("spans"), registry.outcomes("spans")) == (0, (0, 0, 3))


def test_the_queue_of_the_next_start_counts_beside_the_closed_one() -> None:
    registry = Registry()
    before, after = registry.counts.queue("errors"), registry.counts.queue("errors")
    before.try_enqueue(3)
    before.close()
    after.try_enqueue(2)
    before.dequeued("exported", 3)
    assert (registry.queued("errors"), registry.outcomes("errors")) == (2, (0, 0, 3))
    after.dequeued("exported", 2)
    assert (registry.queued("errors"), registry.outcomes("errors")) == (0, (2, 0, 3))


def test_an_envelope_without_reports_changes_no_count() -> None:
    registry = Registry()
    queue = registry.counts.queue("errors")
    assert queue.try_enqueue(0)
    queue.close()
    assert not queue.try_enqueue(0)
    assert registry.outcomes("errors") == (0, 0, 0)


def test_a_queue_takes_as_many_as_there_is_room_for() -> None:
    registry = CollectorRegistry()
    queue = ExportCounts(registry).queue("spans", limit=3)
    assert [queue.enqueue(2), queue.enqueue(2), queue.enqueue(1)] == [2, 1, 0]
    queue.close()
    assert queue.enqueue(1) == 0
    labels = {"signal": "spans", "outcome": "dropped"}
    assert registry.get_sample_value("observability_export_total", labels) == 1 + 1 + 3 + 1
