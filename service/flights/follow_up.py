"""What follows a status update: the audit record and the watchers, before or after the response.

The update is committed by then, so a failure here does not fail the request: it is counted, and logged with the trace
and the whole change, from which the record can be written by hand.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, Counter
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.errors import Unavailable
from service.flights.audit import AuditTrail
from service.flights.watchers import StatusChanged, Watchers

logger = logging.getLogger("flightdeck.follow_up")

ATTEMPTS: Final = 4
FIRST_PAUSE_S: Final = 0.05

Work = Callable[[], Awaitable[None]]


class FollowUp:
    """Writes the audit record of a change and tells its watchers."""

    def __init__(self, audit: AuditTrail, watchers: Watchers, *, registry: CollectorRegistry) -> None:
        self._tasks = {"audit": audit.record, "notify": watchers.notify}
        self._failures = Counter(
            "background_task_failures_total",
            "Side effects of a write that were given up.",
            ("task",),
            registry=registry,
        )
        for task in self._tasks:
            self._failures.labels(task)

    async def run(self, change: StatusChanged) -> None:
        """Do both, each whether or not the other failed."""
        for name, task in self._tasks.items():
            try:
                await _persistently(partial(task, change))
            except BaseException as error:
                self._failures.labels(name).inc()
                logger.error("%s of a status update failed: %s", name, change, exc_info=error)  # noqa: TRY400 see below
                if not isinstance(error, Exception):  # cancelled: the process stops, and may have been told so
                    raise


async def _persistently(work: Work) -> None:
    """Repeat the work, with growing pauses, while what it needs is unavailable."""
    for attempt in range(1, ATTEMPTS):
        try:
            return await work()
        except Unavailable:
            await asyncio.sleep(FIRST_PAUSE_S * 2**attempt)
    return await work()


class Timing(Protocol):
    """When the work that follows a response's result is done."""

    async def respond(self, response: Response, work: Work) -> Response:
        """Return the response that the route answers with."""


class BeforeResponse:
    """The client waits for the work."""

    async def respond(self, response: Response, work: Work) -> Response:
        """Do the work, then return the response."""
        await work()
        return response


class AfterResponse:
    """The client has its answer first (technique `background_tasks`)."""

    async def respond(self, response: Response, work: Work) -> Response:
        """Return the response with the work behind it."""
        return ResponseThenWork(response, work)


class ResponseThenWork(Response):
    """A response with work that is done after it was sent, and also when sending it failed."""

    def __init__(self, response: Response, work: Work) -> None:
        super().__init__(bytes(response.body), response.status_code)
        self.raw_headers = response.raw_headers
        self._work = work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response, then do the work."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._work()
