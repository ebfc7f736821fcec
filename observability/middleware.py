"""The one middleware: outermost, pure ASGI, and short for requests that nobody will look at."""

from collections.abc import Awaitable
from time import perf_counter
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from observability.guard import swallow
from observability.http_metrics import HttpMetrics
from observability.request import RequestRecord, current_request, record_of
from observability.route import UNMATCHED, RouteTable
from observability.server_timing import header_value

DISCONNECTED: Final = "client_disconnected"
"""The status label of requests whose client went away before the answer was complete."""

_UNROUTED: Final = frozenset({307, 308, 404})


class _Exchange(RequestRecord):
    """A request with the two ends of its connection; the application talks to the server through it."""

    __slots__ = ("_receive", "_send")

    def __init__(self, scope: Scope, receive: Receive, send: Send, routes: RouteTable) -> None:
        super().__init__(scope, routes)
        self._receive = receive
        self._send = send

    async def receive(self) -> Message:
        """Pass the next message to the application; count body bytes, notice a client that went away."""
        message = await self._receive()
        if message["type"] == "http.request":
            self.received += len(message.get("body", b""))
        elif message["type"] == "http.disconnect" and not self.last_byte:
            self.disconnected = True
        return message

    def send(self, message: Message) -> Awaitable[None]:
        """Pass a message to the client; a plain function, so that no coroutine is made on the way."""
        kind = message["type"]
        if kind == "http.response.start":
            self.status = message["status"]
            self.first_byte = perf_counter()
            try:
                message = self._with_headers(message)
            except Exception as error:  # noqa: BLE001 telemetry never breaks a response
                swallow("headers", error)
        elif kind == "http.response.body":
            self.sent += len(message.get("body", b""))
            if not message.get("more_body", False):
                self.last_byte = perf_counter()
        elif kind == "http.response.pathsend":
            self.last_byte = perf_counter()
        return self._send(message)

    def _with_headers(self, message: Message) -> Message:
        """Return the response start with our headers, where the application has not set them itself."""
        seconds = self.first_byte - self.started
        headers = [*message.get("headers", ())]
        present = {name for name, _ in headers}
        if b"x-process-time" not in present:
            headers.append((b"x-process-time", b"%.6f" % seconds))
        headers.append((b"server-timing", header_value(self.stages, total_s=seconds).encode()))
        return {**message, "headers": headers}

    def is_disconnected(self) -> bool:
        """Whether the client is gone; uvicorn knows it even if the application never asked."""
        return self.disconnected or getattr(getattr(self._send, "__self__", None), "disconnected", False) is True


class InstrumentationMiddleware:
    """Measures every request of the application inside it."""

    def __init__(self, app: ASGIApp, *, routes: RouteTable, metrics: HttpMetrics) -> None:
        self.app = app
        self._routes = routes
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request through the application; measure it unless an outer instrumentation already does."""
        if scope["type"] != "http" or record_of(scope) is not None:
            await self.app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send, self._routes)
        active = self._metrics.active
        active.add(exchange)
        token = current_request.set(exchange)
        error: BaseException | None = None
        try:
            await self.app(scope, exchange.receive, exchange.send)
        except BaseException as raised:
            error = raised
            raise
        finally:
            ended = perf_counter()
            active.discard(exchange)
            current_request.reset(token)
            try:
                self._finish(exchange, ended, error)
            except Exception as failure:  # noqa: BLE001 telemetry never breaks a response
                swallow("http", failure)

    def _finish(self, exchange: _Exchange, ended: float, error: BaseException | None) -> None:
        status: int | str = exchange.status or 500
        if exchange.is_disconnected() or isinstance(error, ClientDisconnect):
            status = DISCONNECTED
        elif error is not None:
            status = 500
        handler = exchange.route
        if handler is None:
            scope, routes, root_path = exchange.scope, exchange.routes, exchange.root_path
            handler = routes.template(scope, root_path=root_path)
            if handler is UNMATCHED and status not in _UNROUTED:
                handler = routes.match(scope, root_path=root_path)
        metrics = self._metrics
        metrics.observe(metrics.series(handler, exchange.scope["method"], status), exchange, ended)
