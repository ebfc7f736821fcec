"""OpenTelemetry: the SDK's span export, the decorator of the API's tracers, and the mark of FastAPIInstrumentor."""

from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

if TYPE_CHECKING:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

try:
    from opentelemetry.util._decorator import _agnosticcontextmanager as span_context_manager
except ImportError:  # used as a decorator of a coroutine function, a span then ends before the coroutine runs
    span_context_manager = contextmanager  # type: ignore[assignment]

__all__ = [
    "enqueue",
    "instrumentation_scope",
    "is_instrumented_by_fastapi_instrumentor",
    "send",
    "span_context_manager",
    "span_processors",
]


def enqueue(processor: BatchSpanProcessor) -> Callable[[Any], None] | None:
    """Return the function that queues anything for the exporter; None where only `on_end` can, and only spans."""
    emit: Callable[[Any], None] | None = getattr(getattr(processor, "_batch_processor", None), "emit", None)
    return emit


def send(exporter: "OTLPSpanExporter") -> Callable[[bytes], Any] | None:
    """Return the function that sends an encoded request; None where the exporter has to encode by itself."""
    export: Callable[[bytes], Any] | None = getattr(getattr(exporter, "_client", None), "export", None)
    return export


def span_processors(provider: TracerProvider | None) -> tuple[SpanProcessor, ...]:
    """Return the provider's span processors; none where it does not show them."""
    return tuple(getattr(getattr(provider, "_active_span_processor", None), "_span_processors", ()))


def instrumentation_scope(tracer: object, *identity: Any) -> InstrumentationScope:
    """Return the tracer's scope; where it does not show it, an equal one of its name, version and schema."""
    scope = getattr(tracer, "_instrumentation_scope", None)
    return scope if isinstance(scope, InstrumentationScope) else InstrumentationScope(*identity)


def is_instrumented_by_fastapi_instrumentor(app: object) -> bool:
    """Return whether `FastAPIInstrumentor.instrument_app()` was called; False where it leaves no mark."""
    return bool(getattr(app, "_is_instrumented_by_opentelemetry", False))
