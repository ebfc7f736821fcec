"""Checks of an application from inside."""

import logging
from collections.abc import Iterator
from typing import Final

import sentry_sdk
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.semconv.attributes.service_attributes import SERVICE_NAME
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.routing import Router

from observability.compat.opentelemetry import is_instrumented_by_fastapi_instrumentor, span_processors
from observability.core.semconv import SERVICE_INSTANCE_ID
from observability.database.instrument_engine import is_instrumented
from observability.doctor.application import Application
from observability.doctor.blocking import blocking_calls
from observability.doctor.check import Check, CouldNotLook, check
from observability.doctor.layers import unbuilt_middleware

OLD_ATTRIBUTES: Final = frozenset(
    {"http.method", "http.url", "http.status_code", "http.target", "db.statement", "db.system", "net.peer.name"}
)


APPLICATION_CHECKS: Final[list[Check[Application]]] = []


@check(
    APPLICATION_CHECKS,
    fix="write it as pure ASGI middleware: it takes a fraction of the time and keeps context variables",
)
def base_http_middleware(application: Application) -> Iterator[str]:
    """Middleware from @app.middleware('http') or BaseHTTPMiddleware."""
    reached = application.layers
    for layer in reached:
        if isinstance(layer, BaseHTTPMiddleware):
            dispatch = layer.dispatch_func
            yield f"{getattr(dispatch, '__qualname__', type(layer).__qualname__)} is a BaseHTTPMiddleware"
        for kind in unbuilt_middleware(layer):
            yield f"{kind.__qualname__} of a mounted application is a BaseHTTPMiddleware"
    if not any(isinstance(layer, Router) for layer in reached):
        raise CouldNotLook(f"no router is reachable from {type(reached[-1] if reached else application.app).__name__}")


@check(APPLICATION_CHECKS, fix="call instrument(app), or build them in the lifespan, before the application is ready")
def routes_built_at_first_request(application: Application) -> Iterator[str]:
    """Included routes that FastAPI builds on the event loop during the first request."""
    if application.unbuilt_routes is None:
        raise CouldNotLook("this release of FastAPI does not show which routes it has built")
    if application.unbuilt_routes:
        yield (
            f"the first request of each process builds {application.unbuilt_routes} included routes, "
            f"which took {application.build_time_s * 1000:.1f} ms here"
        )


@check(
    APPLICATION_CHECKS,
    fix="FastAPIInstrumentor.instrument_app(app, exclude_spans=['receive', 'send']), or instrument() instead",
)
def asgi_message_spans(application: Application) -> Iterator[str]:
    """A span for every ASGI message, which is most of the cost of tracing."""
    for layer in application.layers:
        if isinstance(layer, OpenTelemetryMiddleware):
            kinds = [kind for kind in ("receive", "send") if not getattr(layer, f"exclude_{kind}_span")]
            if kinds:
                yield f"FastAPIInstrumentor creates a span for every {' and every '.join(kinds)}"


@check(APPLICATION_CHECKS, fix="call it where the application is created, not in its lifespan")
def late_instrumentation(application: Application) -> Iterator[str]:
    """An instrumentation that was called too late."""
    called = is_instrumented_by_fastapi_instrumentor(application.app)
    if called and not any(isinstance(layer, OpenTelemetryMiddleware) for layer in application.layers):
        yield "FastAPIInstrumentor.instrument_app() was called, but its middleware is not in the application"


@check(APPLICATION_CHECKS, fix="instrument(app, engines={'primary': engine})")
def uninstrumented_engine(application: Application) -> Iterator[str]:
    """Engines without pool metrics, query counts and spans."""
    for engine in application.engines:
        if not is_instrumented(engine):
            url = engine.url.render_as_string(hide_password=True)
            yield f"the pool and the statements of the engine {url} are not observed"


@check(APPLICATION_CHECKS, fix="keep the handler of the root logger; remove the others or set propagate = False")
def duplicate_log_handlers(application: Application) -> Iterator[str]:  # noqa: ARG001 the loggers are the process's
    """Log records that are written twice."""
    names = ["", *sorted(logging.root.manager.loggerDict)]
    reported: set[str] = set()
    for name in names:
        logger = logging.getLogger(name or None)
        if not logger.filter(logging.makeLogRecord({"name": name, "levelno": logging.ERROR})):
            continue  # drops everything, as Sentry's own logger does unless it debugs
        seen: set[str] = set()
        current: logging.Logger | None = logger
        while current is not None:
            for handler in current.handlers:
                sink = _sink(handler)
                if sink in seen and f"{current.name} {sink}" not in reported:
                    reported.add(f"{current.name} {sink}")
                    yield f"records of the logger {logger.name!r} reach {sink} twice, also through {current.name!r}"
                seen.add(sink)
            current = current.parent if current.propagate else None


@check(
    APPLICATION_CHECKS, fix="leave traces_sample_rate and traces_sampler unset; OTLPIntegration links errors to traces"
)
def sentry_traces(application: Application) -> Iterator[str]:
    """Sentry's tracing beside OpenTelemetry's."""
    options = sentry_sdk.get_client().options
    traces = options.get("traces_sample_rate") is not None or options.get("traces_sampler") is not None
    if sentry_sdk.get_client().is_active() and traces and application.provider is not None:
        yield "Sentry's own tracing is on (traces_sample_rate or traces_sampler) beside an OpenTelemetry provider"


@check(APPLICATION_CHECKS, fix="use BatchSpanProcessor")
def synchronous_export(application: Application) -> Iterator[str]:
    """Spans that are exported while the request waits."""
    for one in span_processors(application.provider):
        exporter = getattr(one, "span_exporter", None)
        if isinstance(one, SimpleSpanProcessor) and exporter is not application.exporter:
            yield f"SimpleSpanProcessor exports every span with {type(exporter).__name__} while the request waits"


@check(APPLICATION_CHECKS, fix="set OTEL_SERVICE_NAME and a service.instance.id per worker; instrument() generates one")
def missing_worker_attribute(application: Application) -> Iterator[str]:
    """Traces without the name of their service and worker."""
    if application.provider is None:
        return
    attributes = application.provider.resource.attributes
    if str(attributes.get(SERVICE_NAME, "unknown_service")).startswith("unknown_service"):
        yield "the resource has no service.name"
    if SERVICE_INSTANCE_ID not in attributes:
        yield "the resource has no service.instance.id: workers cannot be distinguished"


@check(APPLICATION_CHECKS, fix="set OTEL_SEMCONV_STABILITY_OPT_IN=http,database before the first instrumentation")
def old_attributes(application: Application) -> Iterator[str]:
    """Spans in the old semantic conventions."""
    if application.provider is not None and not application.spans:
        raise CouldNotLook("the requests left no spans")
    old = {key for span in application.spans for key in span.attributes or {}} & OLD_ATTRIBUTES
    if old:
        yield f"spans have the attributes {', '.join(sorted(old))}"


@check(
    APPLICATION_CHECKS, fix="await an asynchronous client, or declare the function with def, which runs it in a thread"
)
def blocking_call_in_async(application: Application) -> Iterator[str]:
    """Blocking calls in async def."""
    if not application.endpoints:
        raise CouldNotLook("the application has no endpoints")
    unread: list[str] = []
    for endpoint in application.endpoints:
        try:
            yield from blocking_calls(endpoint)
        except CouldNotLook as error:
            unread.append(str(error))
    if unread:
        raise CouldNotLook("; ".join(unread))


def _sink(handler: logging.Handler) -> str:
    if type(handler).__module__.startswith("opentelemetry."):  # the SDK's and the logging instrumentor's own one
        return "OTLP"
    if isinstance(handler, logging.FileHandler):
        return handler.baseFilename
    if isinstance(handler, logging.StreamHandler):
        name = getattr(handler.stream, "name", "")
        return "the console" if name in {"<stdout>", "<stderr>"} else f"stream {id(handler.stream)}"
    return f"{type(handler).__name__} {id(handler)}"
