"""OpenTelemetry's Celery instrumentation: the two receivers that trace the publication of a task.

They make the publishing span current and end it after the publication. With a broker that is down, or for a task that
only the worker has, that never happens: the span stays current and in memory. Without `_trace_before_publish` and
`_trace_after_publish` the official receivers run.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.propagate import inject
from opentelemetry.trace import Span, SpanKind

_publishing: Final[ContextVar[Span | None]] = ContextVar("observability_publishing", default=None)


def _before_publish(self: CeleryInstrumentor, *_: Any, **kwargs: Any) -> None:
    headers: Mapping[str, Any] = kwargs.get("headers") or {}
    name = str(kwargs.get("sender"))
    attributes = {
        "messaging.operation.type": "send",
        "messaging.destination.name": str(kwargs.get("routing_key") or ""),
        "messaging.message.id": str(headers.get("id", "")),
        "celery.task_name": name,
    }
    tracer = getattr(self, "_tracer", None) or trace.get_tracer("observability")
    span = tracer.start_span(f"apply_async/{name}", kind=SpanKind.PRODUCER, attributes=attributes)
    _publishing.set(span)
    if isinstance(headers, dict):
        # An empty context: the baggage may be a client's, and messages are stored.
        inject(headers, trace.set_span_in_context(span, Context()))


def _after_publish(self: CeleryInstrumentor, *_: Any, **__: Any) -> None:  # noqa: ARG001 a method
    span = _publishing.get()
    if span is not None:
        _publishing.set(None)
        span.end()


class CeleryTracing(CeleryInstrumentor):
    """The official instrumentation, with publishing spans that always end."""

    _instance = None  # a singleton of its own, not that of the base class

    if hasattr(CeleryInstrumentor, "_trace_before_publish") and hasattr(CeleryInstrumentor, "_trace_after_publish"):
        _trace_before_publish = _before_publish
        _trace_after_publish = _after_publish
