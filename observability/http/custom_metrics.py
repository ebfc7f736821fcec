"""Functions of prometheus-fastapi-instrumentator: its `metrics.*`, and those that users wrote for its `Info`."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from prometheus_fastapi_instrumentator.metrics import Info
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

from observability.core.internal_errors import suppress_internal_errors
from observability.request.record import RequestRecord
from observability.request.route_table import UNMATCHED

InstrumentationFunction = Callable[[Info], Any]

_NO_TEMPLATE: Final = "none"
"""The instrumentator's handler of requests without a route."""


class CustomMetrics:
    """Calls the functions after each request, in the order in which they were given."""

    def __init__(self, functions: Sequence[InstrumentationFunction | None]) -> None:
        self._functions = [function for function in functions if function is not None]
        self._running: set[asyncio.Future[Any]] = set()

    def observe(self, record: RequestRecord, *, handler: str, status: int | str, ended: float, **_: object) -> None:
        code = status if isinstance(status, int) else record.status or 500
        response = Response(status_code=code, headers=Headers(raw=list(record.response_headers)))
        info = Info(
            request=Request(record.scope),
            response=response,
            method=record.scope["method"],
            modified_handler=_NO_TEMPLATE if handler == UNMATCHED else handler,
            modified_status=f"{code // 100}xx",
            modified_duration=ended - record.started,
            modified_duration_without_streaming=max(record.first_byte - record.started, 0.0),
        )
        for function in self._functions:
            with suppress_internal_errors("custom_metrics"):
                pending = function(info)
                if isinstance(pending, Awaitable):
                    self._run(pending)

    def _run(self, pending: Awaitable[Any]) -> None:
        """Let an asynchronous function complete after the request; the task is held until then."""
        task = asyncio.ensure_future(_guarded(pending))
        self._running.add(task)
        task.add_done_callback(self._running.discard)


async def _guarded(pending: Awaitable[Any]) -> None:
    with suppress_internal_errors("custom_metrics"):
        await pending
