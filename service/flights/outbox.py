"""What follows a status update: its subscribers are told, before or after the response.

The update, its audit record and the note that subscribers are to be told are committed by then, in one transaction. A
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
from service.flights.subscribers import StatusChanged, Subscribers

logger = logging.getLogger("flightdeck.outbox")

ATTEMPTS: Final = 4
FIRST_PAUSE_S: Final = 0.05
INTERVAL_S: Final = 5.0
"""Between two searches for overdue changes."""

Work = Callable[[], Awaitable[object]]


class OutboxRelay:
    """Deliver committed changes to the subscribers, and delete each delivered one from the outbox."""

    def __init__(self, outbox: Outbox, subscribers: Subscribers, *, registry: CollectorRegistry) -> None:
        self._outbox = outbox
        self._subscribers = subscribers
        failures = Counter(
            "background_task_failures_total",
            "Side effects of a write that failed and will be retried from the outbox.",
            ("task",),
            registry=registry,
        )
        self._failed = failures.labels("notify")

    async def run(self, *, every_s: float = INTERVAL_S) -> None:
        """Deliver overdue changes periodically, until cancelled: those that no process has delivered so far."""
        await run_periodically(self._deliver_overdue, every_s=every_s)

    async def deliver(self, change_id: int, change: StatusChanged) -> bool:
        """Return whether the change was delivered; if not, it stays in the outbox and is retried later."""
        try:
            await _retry_unavailable(partial(self._subscribers.notify, change))
            await _retry_unavailable(partial(self._outbox.mark_delivered, change_id))
        except BaseException as error:
            self._failed.inc()
            logger.error("could not deliver %s", change, exc_info=error)  # noqa: TRY400 a cancellation is logged too
            if not isinstance(error, Exception):  # cancelled: the process is shutting down
                raise
            return False
        return True

    async def _deliver_overdue(self) -> None:
        try:
            for change_id, change in await self._outbox.overdue():
                if not await self.deliver(change_id, change):
                    break  # the next ones would fail too, each after the same retries
        except ServiceError as error:
            logger.warning("cannot read the outbox of status updates: %s", error)
        except Exception:
            logger.exception("the relay of the outbox failed")


async def _retry_unavailable(work: Work) -> None:
    """Repeat the work, with growing pauses, while what it needs is unavailable."""
    for attempt in range(1, ATTEMPTS):
        try:
            await work()
        except Unavailable:
            await asyncio.sleep(FIRST_PAUSE_S * 2**attempt)
        else:
            return
    await work()


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
