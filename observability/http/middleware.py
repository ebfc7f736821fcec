"""The one middleware: outermost, pure ASGI, and short for requests that nobody will look at."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from time import perf_counter
from typing import Final, Protocol

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from observability.core.internal_errors import guarded, swallow
from observability.http.metrics import HttpMetrics
from observability.http.request_cycle import Exchange
from observability.request.record import RECORD, RequestRecord, current_request
from observability.request.route_table import UNMATCHED, RouteTable
from observability.tracing.tracing import Tracing

DISCONNECTED: Final = "client_disconnected"
"""The status label of requests whose client went away before the answer was complete."""

_UNROUTED: Final = frozenset({307, 308, 404})
"""Statuses that a router answers without a route; matching again would find none either."""

_NAME: Final = itemgetter(0)
_NOTHING: Final[dict[bytes, bytes]] = {}


class Observer(Protocol):
    """Hears of every finished request."""

    def __call__(
        self, record: RequestRecord, *, handler: str, status: int | str, error: BaseException | None, ended: float
    ) -> None:
        """Note the request; `ended` is a reading of `perf_counter`."""


@dataclass(frozen=True, kw_only=True)
class Signals:
    """Who hears of a request, each in its order; metrics come last, because a late span makes their exemplar."""

    tracing: Tracing
    metrics: HttpMetrics
    always: Sequence[tuple[str, Observer]]
    """Hear of every request."""
    when_noteworthy: Sequence[tuple[str, Observer]]
    """Hear of requests that are sampled, slow or failed."""
    response_headers: frozenset[bytes]


class InstrumentationMiddleware:
    """Measures every request of the application inside it, and tells the observers."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        websockets: ASGIApp,
        routes: RouteTable,
        signals: Signals,
        at_first: Callable[[], None],
    ) -> None:
        self.app = websockets
        self._http = app
        self._routes = routes
        self._signals = signals
        self._active = signals.metrics.active
        self._slow_s = signals.tracing.slow_s
        self._at_first: Callable[[], None] | None = at_first
        """Called once, before the first request."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request through the application; measure it unless an outer instrumentation already does."""
        if scope["type"] != "http" or RECORD in scope:
            await self.app(scope, receive, send)
            return
        if self._at_first is not None:
            at_first, self._at_first = self._at_first, None
            with guarded("first_request"):
                at_first()
        signals = self._signals
        exchange = Exchange(scope, receive, send, routes=self._routes, adds=signals.response_headers)
        self._active.add(exchange)
        current = current_request.set(exchange)
        context = None
        try:
            # Most requests tell us nothing, and need no dictionary of what they tell others.
            names = map(_NAME, scope["headers"])
            told = _NOTHING if signals.tracing.listens_to.isdisjoint(names) else dict(scope["headers"])
            if b"x-request-id" in told:
                exchange.accept_request_id(told[b"x-request-id"])
            context = signals.tracing.begin(exchange, told)
        except Exception as failure:  # noqa: BLE001 telemetry never breaks a request
            swallow("begin", failure)
        error: BaseException | None = None
        try:
            await self._http(scope, exchange.receive, exchange.send)
        except BaseException as raised:
            error = raised
            raise
        finally:
            self._finish(exchange, error, perf_counter())
            self._active.discard(exchange)
            current_request.reset(current)
            if context is not None:
                context.var.reset(context)
            del scope[RECORD]  # each holds the other: only the garbage collector could free both

    def _finish(self, exchange: Exchange, error: BaseException | None, ended: float) -> None:
        """Tell every signal about the finished request; one that fails does not keep the others from it."""
        signals = self._signals
        status: int | str = exchange.status
        if error is not None or not exchange.last_byte or exchange.is_disconnected():
            status, error = _how_it_ended(exchange, error)
        try:
            handler = exchange.route or self._routes.template(exchange.scope, root_path=exchange.root_path)
            if handler is UNMATCHED and status not in _UNROUTED:
                handler = self._routes.match(exchange.scope, root_path=exchange.root_path)
        except Exception as failure:  # noqa: BLE001 telemetry never breaks a request
            swallow("route", failure)
            handler = UNMATCHED
        told = signals.always
        if exchange.sampled or isinstance(status, str) or status >= 500 or ended - exchange.started >= self._slow_s:
            told = (*told, *signals.when_noteworthy)
        for where, observe in told:
            try:
                observe(exchange, handler=handler, status=status, error=error, ended=ended)
            except Exception as failure:  # noqa: BLE001 the same
                swallow(where, failure)
        try:
            signals.metrics.observe(exchange, handler, status, ended)
        except Exception as failure:  # noqa: BLE001 the same
            swallow("metrics", failure)


def _how_it_ended(exchange: Exchange, error: BaseException | None) -> tuple[int | str, BaseException | None]:
    """Return the status label of a request that did not simply succeed, and the error if it is the service's."""
    if exchange.is_disconnected() or isinstance(error, ClientDisconnect):
        return DISCONNECTED, None
    if error is not None:
        return 500, error  # also of a response that broke off after its status line
    return exchange.status or 500, None
