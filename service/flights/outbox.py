"""What follows a status update: its watchers are told, before or after the response.

The update, its audit record and the note that watchers are to be told are committed by then, in one transaction. A
failure here does not fail the request, and loses nothing: the note stays, and is delivered later by any process.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, Counter
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.core.periodic import run_periodically
from service.errors import ServiceError, Unavailable
from service.flights.audit import Outbox
from service.flights.subscribers import StatusChanged, Watchers

logger = logging.getLogger("flightdeck.follow_up")

ATTEMPTS: Final = 4
FIRST_PAUSE_S: Final = 0.05
ROUND_S: Final = 5.0
"""How often a process looks for changes that nobody was told of."""

Work = Callable[[], Awaitable[None]]


class FollowUp:
    """Tells the watchers of a change, and takes it out of the outbox."""

    def __init__(self, outbox: Outbox, watchers: Watchers, *, registry: CollectorRegistry) -> None:
        self._outbox = outbox
        self._watchers = watchers
        failures = Counter(
            "background_task_failures_total",
            "Side effects of a write that failed, and are tried again by the next round over the outbox.",
            ("task",),
            registry=registry,
        )
        self._failed = failures.labels("notify")

    async def run(self, change_id: int, change: StatusChanged) -> None:
        """Tell; what can not be told now stays in the outbox."""
        await self._tell(change_id, change)

    async def keep_telling(self, *, every_s: float = ROUND_S) -> None:
        """Tell what others, and earlier runs of this process, left untold, until cancelled."""
        await run_periodically(self._tell_overdue, every_s=every_s)

    async def _tell_overdue(self) -> None:
        try:
            for change_id, change in await self._outbox.overdue():
                if not await self._tell(change_id, change):
                    break  # the next ones would fare no better now, and wait as long as this one
        except ServiceError as error:
            logger.warning("the outbox of status updates can not be read: %s", error)
        except Exception:
            logger.exception("the outbox of status updates")

    async def _tell(self, change_id: int, change: StatusChanged) -> bool:
        try:
            await _persistently(partial(self._watchers.notify, change))
            await _persistently(partial(self._outbox.told, change_id))
        except BaseException as error:
            self._failed.inc()
            logger.error("watchers were not told of %s", change, exc_info=error)  # noqa: TRY400 see below
            if not isinstance(error, Exception):  # cancelled: the process stops, and may have been told so
                raise
            return False
        return True


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
