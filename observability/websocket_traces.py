"""Spans of WebSocket connections, by the official ASGI instrumentation.

A connection lives long, so its span may cost what it costs. The instrumentation's place in the middleware stack has a
second use: FastAPI has telemetry of its own, and leaves requests to OpenTelemetry's middleware where it finds it.
"""

from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.metrics import NoOpMeter
from opentelemetry.semconv.attributes.http_attributes import HTTP_ROUTE
from opentelemetry.semconv.attributes.url_attributes import URL_QUERY
from opentelemetry.trace import Span, Tracer
from starlette.types import ASGIApp, Scope

from observability.http_span import redacted_query
from observability.route import UNMATCHED, RouteTable


def websocket_traces(app: ASGIApp, *, routes: RouteTable, tracer: Tracer) -> ASGIApp:
    """Return the application with a span for every connection, named by its route, without one for every message."""

    def details(scope: Scope) -> tuple[str, dict[str, str]]:
        handler = routes.match(scope, root_path=scope.get("root_path", ""))
        return f"WEBSOCKET {handler}", {} if handler == UNMATCHED else {HTTP_ROUTE: handler}

    def without_query_values(span: Span, scope: Scope) -> None:
        if span.is_recording() and scope.get("query_string"):
            span.set_attribute(URL_QUERY, redacted_query(scope["query_string"]))

    middleware: ASGIApp = OpenTelemetryMiddleware(
        app,
        default_span_details=details,
        server_request_hook=without_query_values,
        tracer=tracer,
        meter=NoOpMeter("observability"),
        exclude_spans=["receive", "send"],
    )
    return middleware
