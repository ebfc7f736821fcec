"""Traces that go on across the broker, by the official Celery instrumentation.

Its publishing half is replaced. It makes the publishing span current and ends it after the publication: with a broker
that is down, or for a task that only the worker knows, that never comes, and the span stays current and in memory.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.propagate import inject
from opentelemetry.semconv._incubating.attributes.messaging_attributes import (
    MESSAGING_DESTINATION_NAME,
    MESSAGING_MESSAGE_ID,
    MESSAGING_OPERATION_TYPE,
)
from opentelemetry.trace import Span, SpanKind

from observability.core.semconv import prefer_stable_conventions

_publishing: Final[ContextVar[Span | None]] = ContextVar("observability_publishing", default=None)


class CeleryTracing(CeleryInstrumentor):
    """The official instrumentation, with publishing spans that never outlive their publication."""

    _instance = None  # its own singleton, not the one of the base class

    def _trace_before_publish(self, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002 the signature is the signal's
        headers: Mapping[str, Any] = kwargs.get("headers") or {}
        name = str(kwargs.get("sender"))
        attributes = {
            MESSAGING_OPERATION_TYPE: "send",
            MESSAGING_DESTINATION_NAME: str(kwargs.get("routing_key") or ""),
            MESSAGING_MESSAGE_ID: str(headers.get("id", "")),
            "celery.task_name": name,
        }
        span = self._tracer.start_span(f"apply_async/{name}", kind=SpanKind.PRODUCER, attributes=attributes)
        _publishing.set(span)
        if isinstance(headers, dict):
            inject(headers, trace.set_span_in_context(span))

    def _trace_after_publish(self, *args: Any, **kwargs: Any) -> None:  # type: ignore[override]  # noqa: ARG002 a static method there
        span = _publishing.get()
        if span is not None:
            _publishing.set(None)
            span.end()


def instrument_celery() -> None:
    """Trace the Celery tasks that this process publishes and runs, once, unless somebody already does."""
    prefer_stable_conventions()
    if not _traces(CeleryInstrumentor).is_instrumented_by_opentelemetry:
        traces = _traces(CeleryTracing)
        if not traces.is_instrumented_by_opentelemetry:
            traces.instrument()


def uninstrument_celery() -> None:
    """Undo `instrument_celery()`."""
    traces = _traces(CeleryTracing)
    if traces.is_instrumented_by_opentelemetry:
        traces.uninstrument()


def _traces(kind: type[CeleryInstrumentor]) -> CeleryInstrumentor:
    return kind()  # the singleton of that class
