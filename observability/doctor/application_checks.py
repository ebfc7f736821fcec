"""What can be wrong inside an application that a look from outside does not show."""

import logging
from collections.abc import Iterator
from typing import Final

import sentry_sdk
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.semconv.attributes.service_attributes import SERVICE_INSTANCE_ID, SERVICE_NAME
from starlette.middleware.base import BaseHTTPMiddleware

from observability.database.instrument_engine import is_instrumented
from observability.doctor.application import Application
from observability.doctor.blocking import blocking_calls
from observability.doctor.check import Check

OLD_ATTRIBUTES: Final = frozenset(
    {"http.method", "http.url", "http.status_code", "http.target", "db.statement", "db.system", "net.peer.name"}
)


def base_http_middleware(application: Application) -> Iterator[str]:
    """Find the slowest form of middleware."""
    for layer in application.layers:
        if isinstance(layer, BaseHTTPMiddleware):
            dispatch = layer.dispatch_func
            yield f"{getattr(dispatch, '__qualname__', type(layer).__qualname__)} is a BaseHTTPMiddleware"


def asgi_message_spans(application: Application) -> Iterator[str]:
    """Find spans for every ASGI message."""
    for layer in application.layers:
        if isinstance(layer, OpenTelemetryMiddleware):
            noise = [kind for kind in ("receive", "send") if not getattr(layer, f"exclude_{kind}_span")]
            if noise:
                yield f"FastAPIInstrumentor makes a span for every {' and every '.join(noise)}"


def late_instrumentation(application: Application) -> Iterator[str]:
    """Find an instrumentation that was called and does nothing."""
    called = getattr(application.app, "_is_instrumented_by_opentelemetry", False)
    if called and not any(isinstance(layer, OpenTelemetryMiddleware) for layer in application.layers):
        yield "FastAPIInstrumentor.instrument_app() was called, but its middleware is not in the application"


def uninstrumented_engines(application: Application) -> Iterator[str]:
    """Find databases that nobody sees from here."""
    for engine in application.engines:
        if not is_instrumented(engine):
            url = engine.url.render_as_string(hide_password=True)
            yield f"nobody sees the pool and the statements of the engine {url}"


def duplicate_log_handlers(application: Application) -> Iterator[str]:  # noqa: ARG001 the loggers are the process's
    """Find records that are written twice."""
    names = ["", *sorted(logging.root.manager.loggerDict)]
    reported: set[str] = set()
    for name in names:
        logger = logging.getLogger(name or None)
        if not logger.filter(logging.makeLogRecord({"name": name, "levelno": logging.ERROR})):
            continue  # lets nothing through, as Sentry's own logger outside of its debug mode
        seen: set[str] = set()
        current: logging.Logger | None = logger
        while current is not None:
            for handler in current.handlers:
                sink = _sink(handler)
                if sink in seen and f"{current.name} {sink}" not in reported:
                    reported.add(f"{current.name} {sink}")
                    yield f"records of the logger {logger.name!r} reach {sink} twice, through {current.name!r} again"
                seen.add(sink)
            current = current.parent if current.propagate else None


def sentry_traces(application: Application) -> Iterator[str]:
    """Find requests that are traced by Sentry besides OpenTelemetry."""
    options = sentry_sdk.get_client().options
    traces = options.get("traces_sample_rate") is not None or options.get("traces_sampler") is not None
    if sentry_sdk.get_client().is_active() and traces and application.provider is not None:
        yield "Sentry's own tracing is on (traces_sample_rate or traces_sampler) beside an OpenTelemetry provider"


def synchronous_export(application: Application) -> Iterator[str]:
    """Find spans that are exported while the request waits."""
    processor = getattr(application.provider, "_active_span_processor", None)
    for one in getattr(processor, "_span_processors", ()):
        exporter = getattr(one, "span_exporter", None)
        if isinstance(one, SimpleSpanProcessor) and exporter is not application.exporter:
            yield f"SimpleSpanProcessor exports every span with {type(exporter).__name__} before the request goes on"


def missing_worker_attribute(application: Application) -> Iterator[str]:
    """Find traces that do not say which service and worker they come from."""
    if application.provider is None:
        return
    attributes = application.provider.resource.attributes
    if str(attributes.get(SERVICE_NAME, "unknown_service")).startswith("unknown_service"):
        yield "the resource has no service.name"
    if SERVICE_INSTANCE_ID not in attributes:
        yield "the resource has no service.instance.id: several workers look like one"


def old_attributes(application: Application) -> Iterator[str]:
    """Find spans in the old semantic conventions."""
    old = {key for span in application.spans for key in span.attributes or {}} & OLD_ATTRIBUTES
    if old:
        yield f"spans have the attributes {', '.join(sorted(old))}"


def blocking_call_in_async(application: Application) -> Iterator[str]:
    """Find handlers that keep everybody else waiting."""
    for endpoint in application.endpoints:
        yield from blocking_calls(endpoint)


def _sink(handler: logging.Handler) -> str:
    """Return a name for where a handler writes to."""
    if type(handler).__module__.startswith("opentelemetry."):  # the SDK's and the logging instrumentor's own one
        return "OTLP"
    if isinstance(handler, logging.FileHandler):
        return handler.baseFilename
    if isinstance(handler, logging.StreamHandler):
        name = getattr(handler.stream, "name", "")
        return "the console" if name in {"<stdout>", "<stderr>"} else f"stream {id(handler.stream)}"
    return f"{type(handler).__name__} {id(handler)}"


APPLICATION_CHECKS: Final[tuple[Check[Application], ...]] = (
    Check(
        "base-http-middleware",
        "middleware made with @app.middleware('http') or BaseHTTPMiddleware",
        "write it as pure ASGI middleware: it costs a fraction, and context variables pass",
        base_http_middleware,
    ),
    Check(
        "asgi-message-spans",
        "a span for every ASGI message, the larger part of what tracing costs",
        "FastAPIInstrumentor.instrument_app(app, exclude_spans=['receive', 'send']), or instrument() instead",
        asgi_message_spans,
    ),
    Check(
        "late-instrumentation",
        "an instrumentation that came too late to do anything",
        "call it where the application is put together, not in its lifespan",
        late_instrumentation,
    ),
    Check(
        "uninstrumented-engine",
        "engines without pool metrics, query counts and spans",
        "instrument(app, engines={'primary': engine})",
        uninstrumented_engines,
    ),
    Check(
        "duplicate-log-handlers",
        "log records that are written twice",
        "keep the handler of the root logger; remove the others or set propagate = False",
        duplicate_log_handlers,
    ),
    Check(
        "sentry-traces",
        "Sentry's tracing beside OpenTelemetry's",
        "leave traces_sample_rate and traces_sampler unset; link errors to traces by OTLPIntegration",
        sentry_traces,
    ),
    Check(
        "synchronous-export",
        "spans that are exported while the request waits",
        "use BatchSpanProcessor",
        synchronous_export,
    ),
    Check(
        "missing-worker-attribute",
        "traces that do not name their service and worker",
        "set OTEL_SERVICE_NAME and a service.instance.id per worker; instrument() makes one",
        missing_worker_attribute,
    ),
    Check(
        "old-attributes",
        "spans in the old semantic conventions",
        "set OTEL_SEMCONV_STABILITY_OPT_IN=http,database before the first instrumentation",
        old_attributes,
    ),
    Check(
        "blocking-call-in-async",
        "blocking calls in async def",
        "await an asynchronous client, or declare the function with def so that it runs in a thread",
        blocking_call_in_async,
    ),
)
