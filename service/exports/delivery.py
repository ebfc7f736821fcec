"""Who makes an export: the request that asks for it, or a worker (technique `task_queue`)."""

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

import anyio
import anyio.to_thread
from celery import Celery
from kombu.exceptions import OperationalError
from opentelemetry import context
from opentelemetry.propagate import extract

from service.core.models import ExportJob
from service.errors import BrokerUnavailable, Unavailable
from service.exports.broker import EXPORT_TASK
from service.exports.errors import Interrupted

if TYPE_CHECKING:
    from service.exports.exporter import Exporter  # at run time it brings pyarrow along

logger = logging.getLogger("flightdeck.exports")

SEND_DEADLINE_S: Final = 1.5
"""Longest wait for a broker that neither takes a message nor refuses it; with the job's row, an answer within 2 s."""
SENDERS: Final = 4
"""Threads that wait for the broker at most; Celery's publishing blocks."""


class Delivery(Protocol):
    """Hands a job to the one who makes it."""

    status: int
    """The HTTP status of a request whose job was handed over."""

    async def deliver(self, job: ExportJob) -> None:
        """Hand the job over; raise `Unavailable` if that is impossible, and the job was not begun."""


class InRequest:
    """The request makes the file, on the event loop, and answers when it is there."""

    status = 201

    def __init__(self, maker: "Exporter") -> None:
        self._maker = maker

    async def deliver(self, job: ExportJob) -> None:
        """Make the file."""
        try:
            await self._maker.make(job.id, resend_s=0)
        except Interrupted as interruption:
            if isinstance(interruption.__cause__, Unavailable):
                raise interruption.__cause__ from interruption
            raise Unavailable(f"the export was interrupted: {interruption}") from interruption


class ByTaskQueue:
    """A worker makes the file; the request is answered as soon as the broker has the message."""

    status = 202

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._senders = anyio.CapacityLimiter(SENDERS)

    async def deliver(self, job: ExportJob) -> None:
        """Send the job to the workers; raise `BrokerUnavailable` within seconds if nobody takes the message."""
        send = partial(self._app.send_task, EXPORT_TASK, args=[job.id], retry=True)
        try:
            async with asyncio.timeout(SEND_DEADLINE_S):
                await anyio.to_thread.run_sync(send, limiter=self._senders, abandon_on_cancel=True)
        except (OperationalError, OSError, TimeoutError) as error:
            logger.warning("the broker took no message: %s: %s", type(error).__name__, error)
            raise BrokerUnavailable from error

    async def deliver_again(self, job: ExportJob) -> None:
        """Send the job once more, in the trace of the request that asked for it."""
        token = context.attach(extract({"traceparent": job.traceparent or ""}))
        try:
            await self.deliver(job)
        finally:
            context.detach(token)
