"""WebSocket connections: number, duration, close code, messages, and a span for each."""

import asyncio
from functools import partial
from time import perf_counter
from typing import Final

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.semconv.attributes.http_attributes import HTTP_ROUTE
from opentelemetry.trace import Span, Status, StatusCode
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from observability.core.internal_errors import suppress_internal_errors
from observability.core.labels import OTHER
from observability.core.semconv import exception_type
from observability.errors.reporter import ErrorReporter
from observability.metrics.histogram import exemplar_of
from observability.request.record import RECORD, RequestRecord, current_request
from observability.request.route import final_route_template, route_template
from observability.request.route_table import UNMATCHED, RouteTable
from observability.tracing.http_span import add_exception
from observability.tracing.tracing import Tracing

DURATION_BUCKETS_S: Final = (0.1, 1, 5, 15, 60, 300, 900, 3600, 14_400, 86_400)

REJECTED: Final = "rejected"
"""The `code` of a connection that the application did not accept."""
FAILED: Final = "failed"
"""The `code` of a connection that an exception ended."""

_CLOSE_CODE_TICKS: Final = 20
"""Iterations of the event loop in which a server delivers the disconnect of a connection that has ended."""
_STARLETTE_CLOSED: Final = ('Cannot call "', "WebSocket is not connected")
"""How the errors of Starlette's `WebSocket` begin after a disconnect; older versions have no class for them."""


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

    span: Span
    code: str = REJECTED
    is_closed: bool = False
    """Whether either side or the server closed the connection, or it was lost; `code` is final then."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, *, routes: RouteTable, metrics: WebSocketMetrics, span: Span
    ) -> None:
        super().__init__(scope, routes)
        self._receive = receive
        self._send = send
        self._send_error: OSError | None = None
        self._metrics = metrics
        self.span = span
        context = span.get_span_context()
        self.trace_id, self.span_id, self.sampled = context.trace_id, context.span_id, context.trace_flags.sampled

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "websocket.receive":
            self._count("received", message)
        elif message["type"] == "websocket.disconnect":
            self._disconnect(message)
        return message

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "websocket.send":
            self._count("sent", message)
        elif kind == "websocket.accept":
            self.code = close_code_label(1006)  # until it is closed
        if self.disconnected:
            # As the ASGI specification requires; uvicorn raises a RuntimeError with `ws="websockets"`.
            self._send_error = ConnectionError("the WebSocket connection is closed")
            raise self._send_error
        try:
            await self._send(message)
        except OSError as error:
            self._send_error = error
            raise
        if kind == "websocket.close" and self.code != REJECTED and not self.is_closed:
            self.is_closed = True
            self.code = close_code_label(message.get("code", 1000))

    async def read_close_code(self) -> None:
        """Read the messages that the application did not, up to the disconnect, if the connection has ended."""
        if self.is_closed or self.code == REJECTED:
            return
        for _ in range(2):  # a server may cancel the connection's task, and `asyncio.run()` then all tasks once more
            reading = asyncio.ensure_future(self._read_to_disconnect())
            try:
                for _ in range(_CLOSE_CODE_TICKS):
                    if reading.done():
                        return
                    await asyncio.sleep(0)
            except asyncio.CancelledError:
                continue
            finally:
                reading.cancel()
            return

    async def _read_to_disconnect(self) -> None:
        with suppress_internal_errors("websocket"):
            while not self.is_closed:
                message = await self._receive()
                if message["type"] == "websocket.disconnect":
                    self._disconnect(message)

    def _disconnect(self, message: Message) -> None:
        self.disconnected = True
        if self.is_closed:
            return
        self.is_closed = True
        code = message.get("code", 1005)
        # uvicorn's messages have a reason if there was a close frame, and 1005 without one if there was not.
        self.code = close_code_label(1006 if code == 1005 and "reason" not in message else code)

    def is_disconnect(self, error: BaseException) -> bool:
        """Return whether the error says no more than that the connection, which is closed, is closed."""
        if isinstance(error, BaseExceptionGroup):
            return all(map(self.is_disconnect, error.exceptions))
        if not self.disconnected and self._send_error is None:
            return False
        return (
            error is self._send_error
            or isinstance(error, WebSocketDisconnect | asyncio.CancelledError)
            or (isinstance(error, RuntimeError) and str(error).startswith(_STARLETTE_CLOSED))
        )

    def _count(self, direction: str, message: Message) -> None:
        with suppress_internal_errors("websocket"):
            handler = route_template(self.scope)
            content = message.get("text") or message.get("bytes") or b""
            size = len(content.encode()) if isinstance(content, str) else len(content)
            self._metrics.messages.labels(handler, direction).inc()
            self._metrics.size.labels(handler, direction).inc(size)


class ObservedWebSockets:
    """An application with its connections counted and traced: one span each, none for messages."""

    def __init__(
        self, app: ASGIApp, *, routes: RouteTable, metrics: WebSocketMetrics, tracing: Tracing, errors: ErrorReporter
    ) -> None:
        self._app = app
        self._routes = routes
        self._metrics = metrics
        self._tracing = tracing
        self._errors = errors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket" or RECORD in scope:
            await self._app(scope, receive, send)
            return
        span: Span = trace.INVALID_SPAN
        context = Context()
        with suppress_internal_errors("websocket"):
            context = self._tracing.caller_context(scope["headers"])
            span = self._tracing.websocket_span(scope, context)
        connection = _Connection(scope, receive, send, routes=self._routes, metrics=self._metrics, span=span)
        attached = otel_context.attach(trace.set_span_in_context(span, context))
        token = current_request.set(connection)
        self._metrics.open.inc()
        error: Exception | None = None
        try:
            await self._app(scope, connection.receive, connection.send)
            await connection.read_close_code()
        except BaseException as raised:
            await connection.read_close_code()
            if not connection.is_disconnect(raised):  # for a disconnect the server would log an error that is none
                if isinstance(raised, Exception) and not isinstance(raised, WebSocketDisconnect):
                    connection.code, error = FAILED, raised
                raise
        finally:
            self._metrics.open.dec()
            with suppress_internal_errors("websocket"):
                self._finish(connection, error)
            current_request.reset(token)
            otel_context.detach(attached)
            connection.detach()

    def _finish(self, connection: _Connection, error: Exception | None) -> None:
        span = connection.span
        handler = final_route_template(connection, is_routed=connection.code == REJECTED)
        if error is not None:
            self._errors.observe(connection, handler=handler, error=error)
        self._metrics.closed.labels(handler, connection.code).inc()
        self._metrics.duration.labels(handler).observe(perf_counter() - connection.started, exemplar_of(span))
        span.update_name(f"WEBSOCKET {handler}")
        if handler != UNMATCHED:
            span.set_attribute(HTTP_ROUTE, handler)
        if error is not None:
            span.set_attribute(ERROR_TYPE, exception_type(error))
            span.set_status(Status(StatusCode.ERROR))
            add_exception(span, error, connection)
        for name, attributes, at_ns in connection.events or ():
            span.add_event(name, attributes, at_ns)
        span.end()


def close_code_label(code: int) -> str:
    """Return the close code; those that applications define are one value."""
    if 1000 <= code <= 1015:
        return str(code)
    return "application" if 3000 <= code <= 4999 else OTHER
