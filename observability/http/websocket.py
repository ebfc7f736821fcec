"""WebSocket connections: number, duration, close code, messages, and a span for each.

A connection is long, so the cost of its span does not matter: the official ASGI instrumentation creates it. Its
presence in the middleware stack also disables FastAPI's own telemetry.
"""

from collections.abc import Awaitable
from functools import partial
from time import perf_counter
from typing import Final

from opentelemetry import trace
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.metrics import NoOpMeter
from opentelemetry.semconv.attributes.http_attributes import HTTP_ROUTE
from opentelemetry.semconv.attributes.url_attributes import URL_QUERY
from opentelemetry.trace import Span, Tracer
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from observability.core.internal_errors import suppress_internal_errors
from observability.core.labels import OTHER
from observability.errors.reporter import ErrorReporter
from observability.metrics.histogram import exemplar
from observability.privacy.scrub import redacted_query
from observability.request.record import RECORD, RequestRecord, current_request
from observability.request.route import route_template
from observability.request.route_table import UNMATCHED, RouteTable

DURATION_BUCKETS_S: Final = (0.1, 1, 5, 15, 60, 300, 900, 3600, 14_400, 86_400)

REJECTED: Final = "rejected"
"""The `code` of a connection that the application did not accept."""
FAILED: Final = "failed"
"""The `code` of a connection that an exception ended."""


class WebSocketMetrics:
    """Counts and times connections by route template and close code, and counts their messages."""

    def __init__(self, registry: CollectorRegistry) -> None:
        counter = partial(Counter, registry=registry)
        gauge = partial(Gauge, registry=registry)
        histogram = partial(Histogram, registry=registry)
        self.open = gauge("websocket_connections_inprogress", "Open WebSocket connections.")
        self.closed = counter(
            "websocket_connections_total",
            "WebSocket connections that ended, by close code, `rejected` or `failed`.",
            ("handler", "code"),
        )
        self.duration = histogram(
            "websocket_connection_duration_seconds",
            "Time from the handshake of a WebSocket connection to its end.",
            ("handler",),
            buckets=DURATION_BUCKETS_S,
        )
        self.messages = counter("websocket_messages_total", "WebSocket messages.", ("handler", "direction"))
        self.size = counter(
            "websocket_message_size_bytes_total", "Bytes of WebSocket messages.", ("handler", "direction")
        )


class _Connection(RequestRecord):
    """The record of a connection that wraps its `receive` and `send`."""

    code: str = REJECTED

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, routes: RouteTable, metrics: WebSocketMetrics):
        super().__init__(scope, routes)
        self._receive = receive
        self._send = send
        self._metrics = metrics
        span = trace.get_current_span().get_span_context()
        self.trace_id, self.span_id, self.sampled = span.trace_id, span.span_id, span.trace_flags.sampled

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "websocket.receive":
            self._count("received", message)
        elif message["type"] == "websocket.disconnect":
            self.code = close_code_label(message.get("code", 1005))
        return message

    def send(self, message: Message) -> Awaitable[None]:
        kind = message["type"]
        if kind == "websocket.send":
            self._count("sent", message)
        elif kind == "websocket.accept":
            self.code = close_code_label(1006)  # until a close message
        elif kind == "websocket.close" and self.code != REJECTED:
            self.code = close_code_label(message.get("code", 1000))
        return self._send(message)

    def _count(self, direction: str, message: Message) -> None:
        with suppress_internal_errors("websocket"):
            handler = route_template(self.scope)
            content = message.get("text") or message.get("bytes") or b""
            size = len(content.encode()) if isinstance(content, str) else len(content)
            self._metrics.messages.labels(handler, direction).inc()
            self._metrics.size.labels(handler, direction).inc(size)


def observed_websockets(
    app: ASGIApp, *, routes: RouteTable, metrics: WebSocketMetrics, tracer: Tracer, errors: ErrorReporter
) -> ASGIApp:
    """Return the application with its connections counted and traced: one span each, none for messages."""

    async def counted(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket" or RECORD in scope:
            await app(scope, receive, send)
            return
        connection = _Connection(scope, receive, send, routes=routes, metrics=metrics)
        token = current_request.set(connection)
        metrics.open.inc()
        try:
            await app(scope, connection.receive, connection.send)
        except WebSocketDisconnect:
            raise
        except Exception as error:
            connection.code = FAILED
            with suppress_internal_errors("websocket"):
                errors.observe(connection, handler=route_template(scope), error=error)
            raise
        finally:
            with suppress_internal_errors("websocket"):
                metrics.open.dec()
                handler = route_template(scope)
                metrics.closed.labels(handler, connection.code).inc()
                metrics.duration.labels(handler).observe(perf_counter() - connection.started, exemplar())
            current_request.reset(token)
            del scope[RECORD]

    def details(scope: Scope) -> tuple[str, dict[str, str]]:
        handler = routes.match(scope, root_path=scope.get("root_path", ""))
        return f"WEBSOCKET {handler}", {} if handler == UNMATCHED else {HTTP_ROUTE: handler}

    def without_query_values(span: Span, scope: Scope) -> None:
        if span.is_recording() and scope.get("query_string"):
            span.set_attribute(URL_QUERY, redacted_query(scope["query_string"]))

    traced: ASGIApp = OpenTelemetryMiddleware(
        counted,
        default_span_details=details,
        server_request_hook=without_query_values,
        tracer=tracer,
        meter=NoOpMeter("observability"),
        exclude_spans=["receive", "send"],
    )
    return traced


def close_code_label(code: int) -> str:
    """Return the close code; those that applications define are one value."""
    if 1000 <= code <= 1015:
        return str(code)
    return "application" if 3000 <= code <= 4999 else OTHER
