"""What keeps exports going while nobody asks: jobs of dead workers are sent again, old files go."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import and_, delete, select, update

from service.core.models import ExportJob
from service.core.periodic import run_periodically
from service.database import Database
from service.errors import BrokerUnavailable, ServiceError
from service.exports.delivery import ByTaskQueue
from service.exports.files import ExportFiles
from service.exports.state import UNFINISHED, State

logger = logging.getLogger("flightdeck.exports")

MOST_AT_ONCE: Final = 100
FIRST_PAUSE_S: Final = 60
LONGEST_PAUSE_S: Final = 3600
FORGOTTEN_AFTER: Final = timedelta(days=7)
ORPHANED_AFTER_S: Final = 3600.0


class ExportMaintenance:
    """Rounds over the jobs and the files; any number of processes may make them at the same time."""

    def __init__(
        self, database: Database, *, queue: ByTaskQueue | None, files: ExportFiles, clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._queue = queue
        self._files = files
        self._clock = clock

    async def run(self, *, every_s: float) -> None:
        """Repeat rounds until cancelled; a round that fails is logged and followed by the next."""
        await run_periodically(self._logged_round, every_s=every_s)

    async def round(self) -> None:
        """Do everything that is due."""
        if self._queue is not None:
            await self._send_again(self._queue)
        await self._expire()

    async def _logged_round(self) -> None:
        try:
            await self.round()
        except ServiceError as error:
            logger.warning("upkeep of exports: %s", error)
        except Exception:
            logger.exception("upkeep of exports")

    async def _send_again(self, queue: ByTaskQueue) -> None:
        now = self._clock()
        due = and_(ExportJob.state.in_([state.value for state in UNFINISHED]), ExportJob.due_at < now)
        async with self._database.reading() as session:
            jobs = (await session.scalars(select(ExportJob).where(due).limit(MOST_AT_ONCE))).all()
        for job in jobs:
            if await self._took(job, now):
                logger.info("export %s is sent again: it was %s, and nobody works on it", job.id, job.state)
                try:
                    await queue.deliver_again(job)
                except BrokerUnavailable:
                    await self._put_back(job, now)
                    raise

    async def _took(self, job: ExportJob, now: datetime) -> bool:
        """Return whether this process is the one that sends the job; its next sending is due later each time."""
        pause_s = min(FIRST_PAUSE_S * 2**job.sendings, LONGEST_PAUSE_S)
        seen = and_(ExportJob.id == job.id, ExportJob.state == job.state, ExportJob.due_at == job.due_at)
        queued = {
            "state": State.QUEUED.value,
            "lease": None,
            "due_at": now + timedelta(seconds=pause_s),
            "sendings": ExportJob.sendings + 1,
        }
        async with self._database.writing() as session:
            taken = await session.execute(update(ExportJob).where(seen).values(queued).returning(ExportJob.id))
            return taken.one_or_none() is not None

    async def _put_back(self, job: ExportJob, now: datetime) -> None:
        """Let the next round send the job that the broker did not take."""
        waiting = and_(ExportJob.id == job.id, ExportJob.state == State.QUEUED.value)
        async with self._database.writing() as session:
            await session.execute(update(ExportJob).where(waiting).values(due_at=now, sendings=job.sendings))

    async def _expire(self) -> None:
        now = self._clock()
        expired = and_(ExportJob.state == State.DONE.value, ExportJob.expires_at < now)
        async with self._database.reading() as session:
            jobs = (await session.scalars(select(ExportJob).where(expired).limit(MOST_AT_ONCE))).all()
            kept = set(await session.scalars(select(ExportJob.file_name).where(ExportJob.file_name.is_not(None))))
        if jobs:
            ids = [job.id for job in jobs]
            values = {"state": State.EXPIRED.value, "file_name": None}
            async with self._database.writing() as session:
                await session.execute(update(ExportJob).where(ExportJob.id.in_(ids), expired).values(values))
            for job in jobs:
                self._files.remove(str(job.file_name))
        forgotten = and_(ExportJob.created_at < now - FORGOTTEN_AFTER, ExportJob.file_name.is_(None))
        async with self._database.writing() as session:
            await session.execute(delete(ExportJob).where(forgotten))
        self._files.remove_orphans({name for name in kept if name is not None}, older_than_s=ORPHANED_AFTER_S)
