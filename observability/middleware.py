"""The one middleware: outermost, pure ASGI, and short for requests that nobody will look at."""

from collections.abc import Sequence
from time import perf_counter
from typing import Final, Protocol

from opentelemetry import context as otel_context
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from observability.exchange import Exchange
from observability.guard import swallow
from observability.request import RequestRecord, current_request, forget, record_of
from observability.route import UNMATCHED, RouteTable
from observability.tracing import Tracing

DISCONNECTED: Final = "client_disconnected"
"""The status label of requests whose client went away before the answer was complete."""

_UNROUTED: Final = frozenset({307, 308, 404})
"""Statuses that a router answers without a route; matching again would find none either."""


class Observer(Protocol):
    """Hears of every finished request."""

    def __call__(
        self, record: RequestRecord, *, handler: str, status: int | str, error: BaseException | None, ended: float
    ) -> None:
        """Note the request; `ended` is a reading of `perf_counter`."""


class InstrumentationMiddleware:
    """Measures every request of the application inside it, and tells the observers."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        websockets: ASGIApp,
        routes: RouteTable,
        tracing: Tracing,
        active: set[RequestRecord],
        observers: Sequence[tuple[str, Observer]],
        adds_headers: bool,
    ) -> None:
        self.app = websockets
        self._http = app
        self._routes = routes
        self._tracing = tracing
        self._active = active
        self._observers = tuple(observers)
        self._adds_headers = adds_headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request through the application; measure it unless an outer instrumentation already does."""
        if scope["type"] != "http" or record_of(scope) is not None:
            await self.app(scope, receive, send)
            return
        exchange = Exchange(scope, receive, send, routes=self._routes, adds_headers=self._adds_headers)
        self._active.add(exchange)
        current = current_request.set(exchange)
        context = None
        try:
            headers = dict(scope["headers"])
            context = self._tracing.begin(exchange, headers)
            exchange.accept_request_id(headers.get(b"x-request-id"))
        except Exception as failure:  # noqa: BLE001 telemetry never breaks a request
            swallow("begin", failure)
        error: BaseException | None = None
        try:
            await self._http(scope, exchange.receive, exchange.send)
        except BaseException as raised:
            error = raised
            raise
        finally:
            self._active.discard(exchange)
            self._finish(exchange, error, perf_counter())
            forget(scope)
            current_request.reset(current)
            if context is not None:
                otel_context.detach(context)

    def _finish(self, exchange: Exchange, error: BaseException | None, ended: float) -> None:
        status: int | str = exchange.status or 500
        if exchange.is_disconnected() or isinstance(error, ClientDisconnect):
            status, error = DISCONNECTED, None
        elif error is not None:
            status = 500  # also of a response that broke off after its status line
        try:
            handler = self._handler(exchange, status)
        except Exception as failure:  # noqa: BLE001 telemetry never breaks a request
            swallow("route", failure)
            handler = UNMATCHED
        for where, observe in self._observers:
            try:
                observe(exchange, handler=handler, status=status, error=error, ended=ended)
            except Exception as failure:  # noqa: BLE001 the same, one signal at a time
                swallow(where, failure)

    def _handler(self, exchange: Exchange, status: int | str) -> str:
        if exchange.route is not None:
            return exchange.route
        scope, root_path = exchange.scope, exchange.root_path
        handler = self._routes.template(scope, root_path=root_path)
        if handler is UNMATCHED and status not in _UNROUTED:
            return self._routes.match(scope, root_path=root_path)
        return handler
