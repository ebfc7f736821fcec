"""The middleware: outermost, pure ASGI, and short for unsampled requests."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from time import perf_counter
from typing import Final, Protocol

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from observability.compat.fastapi import disabling_native_telemetry
from observability.core.internal_errors import record_internal_error, suppress_internal_errors
from observability.http.metrics import HttpMetrics
from observability.http.official import RequestsInProgress
from observability.http.request_cycle import RequestCycle
from observability.request.record import RECORD, RequestRecord, current_request
from observability.request.route import final_route_template
from observability.request.route_table import UNMATCHED, RouteTable
from observability.tracing.propagation import header_values
from observability.tracing.tracing import Tracing

DISCONNECTED: Final = "client_disconnected"
"""The status label of requests whose client disconnected before the response was complete."""

_UNROUTED: Final = frozenset({307, 308, 404})
"""Statuses that a router sends without a route; matching again would find none either."""

_MAX_CHAIN: Final = 10

_NAME: Final = itemgetter(0)
_NO_HEADERS: Final[dict[bytes, bytes]] = {}


class Observer(Protocol):
    def __call__(
        self, record: RequestRecord, *, handler: str, status: int | str, error: BaseException | None, ended: float
    ) -> None:
        """Observe a finished request; `ended` is a reading of `perf_counter`."""


@dataclass(frozen=True, kw_only=True)
class Signals:
    """What observes a request, in this order; metrics are last."""

    tracing: Tracing
    metrics: HttpMetrics | RequestsInProgress
    observers: Sequence[tuple[str, Observer]]
    """Observe every request."""
    sampled_observers: Sequence[tuple[str, Observer]]
    """Observe requests that are sampled, slow or failed."""
    response_headers: frozenset[bytes]


class InstrumentationMiddleware:
    """Measures every request of the application inside it and calls the observers."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        websockets: ASGIApp,
        routes: RouteTable,
        signals: Signals,
        on_first_request: Callable[[], None],
        cycle: Callable[..., RequestCycle] = RequestCycle,
    ) -> None:
        self._cycle = cycle
        self.app = disabling_native_telemetry(app)
        self._http = app
        self._websockets = websockets
        self._routes = routes
        self._signals = signals
        self._active = signals.metrics.active
        self._slow_s = signals.tracing.slow_s
        self._on_first_request: Callable[[], None] | None = on_first_request
        """Called once, before the first request."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Measure the request, unless an outer instrumentation already does."""
        if scope["type"] != "http" or RECORD in scope:
            await self._websockets(scope, receive, send)
            return
        if self._on_first_request is not None:
            on_first_request, self._on_first_request = self._on_first_request, None
            with suppress_internal_errors("first_request"):
                on_first_request()
        signals = self._signals
        cycle = self._cycle(scope, receive, send, routes=self._routes, adds=signals.response_headers)
        self._active.add(cycle)
        current = current_request.set(cycle)
        context = None
        try:
            # Most requests have no header that matters here, and need no dictionary of the others.
            names = map(_NAME, scope["headers"])
            headers = (
                _NO_HEADERS if signals.tracing.trigger_headers.isdisjoint(names) else header_values(scope["headers"])
            )
            if b"x-request-id" in headers:
                cycle.accept_request_id(headers[b"x-request-id"])
            context = signals.tracing.begin(cycle, headers)
        except Exception as failure:  # noqa: BLE001 telemetry never breaks a request
            record_internal_error("begin", failure)
        error: BaseException | None = None
        try:
            await self._http(scope, cycle.receive, cycle.send)
        except BaseException as raised:
            error = raised
            if not (cycle.is_disconnected() and _is_client_disconnect(raised)):
                raise  # without a client the server would log an error that is none
        finally:
            self._finish(cycle, error, perf_counter())
            self._active.discard(cycle)
            current_request.reset(current)
            if context is not None:
                context.var.reset(context)
            cycle.detach()

    def _finish(self, cycle: RequestCycle, error: BaseException | None, ended: float) -> None:
        """Call the observers of the finished request; one that fails does not affect the others."""
        signals = self._signals
        status: int | str = cycle.status
        if error is not None or not cycle.last_byte or cycle.is_disconnected():
            status, error = _final_status(cycle, error)
        try:
            handler = final_route_template(cycle, is_routed=status in _UNROUTED)
        except Exception as failure:  # noqa: BLE001 telemetry never breaks a request
            record_internal_error("route", failure)
            handler = UNMATCHED
        observers = signals.observers
        if (
            cycle.sampled
            or error is not None
            or isinstance(status, str)
            or status >= 500
            or ended - cycle.started >= self._slow_s
        ):
            observers = (*observers, *signals.sampled_observers)
            if not cycle.sampled:
                with suppress_internal_errors("traces"):
                    signals.tracing.keep(cycle, status=status, error=error, ended=ended)
        for where, observe in observers:
            try:
                observe(cycle, handler=handler, status=status, error=error, ended=ended)
            except Exception as failure:  # noqa: BLE001 the same
                record_internal_error(where, failure)
        try:
            signals.metrics.observe(cycle, handler, status, ended)
        except Exception as failure:  # noqa: BLE001 the same
            record_internal_error("metrics", failure)


def _final_status(cycle: RequestCycle, error: BaseException | None) -> tuple[int | str, BaseException | None]:
    """Return the status label of a request that failed or was cut short, and the error if it is the service's.

    A complete response counts as what the client got, also if a background task fails after it.
    """
    if _is_client_disconnect(error):
        return DISCONNECTED, None
    if cycle.last_byte and cycle.status < 500:
        return DISCONNECTED if cycle.is_disconnected() else cycle.status, error
    if cycle.is_disconnected():
        return DISCONNECTED, None
    if error is not None:
        return 500, error  # also if the response had started
    return cycle.status or 500, None


def _is_client_disconnect(error: BaseException | None) -> bool:
    """Return whether the error, or one that it was raised for, is the disconnect of the client."""
    for _ in range(_MAX_CHAIN):
        if error is None or isinstance(error, ClientDisconnect):
            return error is not None
        error = error.__cause__ or error.__context__
    return False
