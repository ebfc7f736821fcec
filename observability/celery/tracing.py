"""Trace context across the broker, by the official Celery instrumentation."""

from opentelemetry.instrumentation.celery import CeleryInstrumentor

from observability.compat.celery_instrumentor import CeleryTracing
from observability.core.semconv import prefer_stable_conventions


def instrument_celery() -> None:
    """Trace the Celery tasks that this process publishes and runs, once, unless `CeleryInstrumentor` already does."""
    prefer_stable_conventions()
    if not _singleton(CeleryInstrumentor).is_instrumented_by_opentelemetry:
        tracing = _singleton(CeleryTracing)
        if not tracing.is_instrumented_by_opentelemetry:
            tracing.instrument()


def uninstrument_celery() -> None:
    """Undo `instrument_celery()`."""
    tracing = _singleton(CeleryTracing)
    if tracing.is_instrumented_by_opentelemetry:
        tracing.uninstrument()


def _singleton(kind: type[CeleryInstrumentor]) -> CeleryInstrumentor:
    return kind()
