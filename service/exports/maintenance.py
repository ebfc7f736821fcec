"""Maintenance of exports: send the jobs of dead workers again, delete expired files and old jobs."""

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
from service.exports.schemas import UNFINISHED, State

logger = logging.getLogger("flightdeck.exports")

BATCH_SIZE: Final = 100
FIRST_PAUSE_S: Final = 60
MAX_PAUSE_S: Final = 3600
JOB_RETENTION: Final = timedelta(days=7)
ORPHAN_AGE_S: Final = 3600.0


class ExportMaintenance:
    """Runs periodically, in any number of processes at the same time."""

    def __init__(
        self, database: Database, *, queue: ByTaskQueue | None, files: ExportFiles, clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._queue = queue
        self._files = files
        self._clock = clock

    async def run(self, *, every_s: float) -> None:
        """Repeat rounds until cancelled; a round that fails is logged and followed by the next."""
        await run_periodically(self._run_logged, every_s=every_s)

    async def run_once(self) -> None:
        if self._queue is not None:
            await self._resend(self._queue)
        await self._expire()

    async def _run_logged(self) -> None:
        try:
            await self.run_once()
        except ServiceError as error:
            logger.warning("the maintenance of exports failed: %s", error)
        except Exception:
            logger.exception("the maintenance of exports failed")

    async def _resend(self, queue: ByTaskQueue) -> None:
        now = self._clock()
        due = and_(ExportJob.state.in_([state.value for state in UNFINISHED]), ExportJob.due_at < now)
        async with self._database.reading() as session:
            jobs = (await session.scalars(select(ExportJob).where(due).limit(BATCH_SIZE))).all()
        for job in jobs:
            if await self._claim(job, now):
                logger.info("export %s is sent again: it is %s and no attempt holds its lease", job.id, job.state)
                try:
                    await queue.redeliver(job)
                except BrokerUnavailable:
                    await self._unclaim(job, now)
                    raise

    async def _claim(self, job: ExportJob, now: datetime) -> bool:
        """Return whether this process may send the job; the pause until the next time doubles."""
        pause_s = min(FIRST_PAUSE_S * 2**job.sendings, MAX_PAUSE_S)
        unclaimed = and_(ExportJob.id == job.id, ExportJob.state == job.state, ExportJob.due_at == job.due_at)
        queued = {
            "state": State.QUEUED.value,
            "lease": None,
            "due_at": now + timedelta(seconds=pause_s),
            "sendings": ExportJob.sendings + 1,
        }
        async with self._database.writing() as session:
            claimed = await session.execute(update(ExportJob).where(unclaimed).values(queued).returning(ExportJob.id))
            return claimed.one_or_none() is not None

    async def _unclaim(self, job: ExportJob, now: datetime) -> None:
        """Make the job due again, because the broker did not accept it."""
        queued = and_(ExportJob.id == job.id, ExportJob.state == State.QUEUED.value)
        async with self._database.writing() as session:
            await session.execute(update(ExportJob).where(queued).values(due_at=now, sendings=job.sendings))

    async def _expire(self) -> None:
        now = self._clock()
        expired = and_(ExportJob.state == State.DONE.value, ExportJob.expires_at < now)
        async with self._database.reading() as session:
            jobs = (await session.scalars(select(ExportJob).where(expired).limit(BATCH_SIZE))).all()
            kept = set(await session.scalars(select(ExportJob.file_name).where(ExportJob.file_name.is_not(None))))
        if jobs:
            ids = [job.id for job in jobs]
            values = {"state": State.EXPIRED.value, "file_name": None}
            async with self._database.writing() as session:
                await session.execute(update(ExportJob).where(ExportJob.id.in_(ids), expired).values(values))
            for job in jobs:
                self._files.remove(str(job.file_name))
        outdated = and_(ExportJob.created_at < now - JOB_RETENTION, ExportJob.file_name.is_(None))
        async with self._database.writing() as session:
            await session.execute(delete(ExportJob).where(outdated))
        self._files.remove_orphans({name for name in kept if name is not None}, older_than_s=ORPHAN_AGE_S)
