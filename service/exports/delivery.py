"""Where an export is written: in its request, or by a worker (technique `task_queue`)."""

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from celery import Celery
from kombu.exceptions import OperationalError
from opentelemetry import context
from opentelemetry.propagate import extract

from observability.saturation.threads import InstrumentedThreadPool, ThreadMetrics
from service.core.models import ExportJob
from service.errors import BrokerUnavailable, Unavailable
from service.exports.broker import EXPORT_TASK
from service.exports.lease import Interrupted

if TYPE_CHECKING:
    from service.exports.exporter import Exporter  # imports pyarrow

logger = logging.getLogger("flightdeck.exports")

PUBLISH_TIMEOUT_S: Final = 1.5
"""Timeout of publishing; with the writes of the job's row the client has a response within 2 s."""
PUBLISHER_THREADS: Final = 4
"""Celery publishes with blocking calls."""


def publisher_threads(threads: ThreadMetrics) -> InstrumentedThreadPool:
    """Return the threads that publish; a request that timed out waits for them no longer."""
    return threads.thread_pool("publish", threads=PUBLISHER_THREADS, abandon_on_cancel=True)


class Delivery(Protocol):
    """Delivers a job to what writes its file."""

    status: int
    """The HTTP status of a request whose job was delivered."""

    async def deliver(self, job: ExportJob) -> None:
        """Deliver the job; raise `Unavailable` if that is impossible and no attempt has started."""


class InRequest:
    """The request writes the file, on the event loop, before its response."""

    status = 201

    def __init__(self, exporter: "Exporter") -> None:
        self._exporter = exporter

    async def deliver(self, job: ExportJob) -> None:
        try:
            await self._exporter.run(job.id, resend_s=0)
        except Interrupted as interruption:
            if isinstance(interruption.__cause__, Unavailable):
                raise interruption.__cause__ from interruption
            raise Unavailable(f"the export was interrupted: {interruption}") from interruption


class ByTaskQueue:
    """A worker writes the file; the response follows as soon as the broker has accepted the message."""

    status = 202

    def __init__(self, app: Celery, threads: InstrumentedThreadPool) -> None:
        self._app = app
        self._threads = threads

    async def deliver(self, job: ExportJob) -> None:
        """Publish the job; raise `BrokerUnavailable` if the broker does not accept it in time."""
        send = partial(self._app.send_task, EXPORT_TASK, args=[job.id], retry=True)
        try:
            async with asyncio.timeout(PUBLISH_TIMEOUT_S):
                await self._threads.run(send)
        except (OperationalError, OSError, TimeoutError) as error:
            logger.warning("the broker did not accept the message: %s: %s", type(error).__name__, error)
            raise BrokerUnavailable from error

    async def redeliver(self, job: ExportJob) -> None:
        """Publish the job again, in the trace of the request that created it."""
        token = context.attach(extract({"traceparent": job.traceparent or ""}))
        try:
            await self.deliver(job)
        finally:
            context.detach(token)
