"""The export jobs of an owner: created once per idempotency key, read, cancelled."""

import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from opentelemetry.propagate import inject
from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError

from service.core.models import ExportJob
from service.database import Database
from service.errors import IdempotencyKeyReused, UnknownExport
from service.exports.schemas import UNFINISHED, ExportRequest, State

RESEND_AFTER_S = 60.0
"""A message that starts no attempt within this time may be lost and is sent again."""


@dataclass(frozen=True, kw_only=True)
class RequestedJob:
    """A job, and whether this request created it or an earlier one with the same idempotency key."""

    job: ExportJob
    is_new: bool


class Jobs:
    """The export jobs, each visible to its owner only."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    async def create(self, request: ExportRequest, *, owners: Sequence[str], key: str | None) -> RequestedJob:
        """Return the job of a request; raise `IdempotencyKeyReused` if the key was used with another request.

        A new job belongs to the first owner; the key is looked up for all of them.
        """
        try:
            return await self._find_or_create(request, owners=owners, key=key)
        except IntegrityError:  # a concurrent request with the same key has inserted its row
            return await self._find_or_create(request, owners=owners, key=key)

    async def _find_or_create(self, request: ExportRequest, *, owners: Sequence[str], key: str | None) -> RequestedJob:
        now = self._clock()
        async with self._database.writing() as session:
            if key is not None:
                earlier = await session.scalar(
                    select(ExportJob).where(ExportJob.owner.in_(owners), ExportJob.idempotency_key == key)
                )
                if earlier is not None:
                    if earlier.request != request.text():
                        raise IdempotencyKeyReused
                    return RequestedJob(job=earlier, is_new=False)
            job = ExportJob(
                id=secrets.token_urlsafe(18),
                owner=owners[0],
                idempotency_key=key,
                request=request.text(),
                state=State.QUEUED.value,
                due_at=now + timedelta(seconds=RESEND_AFTER_S),
                created_at=now,
                traceparent=_traceparent(),
            )
            session.add(job)
        return RequestedJob(job=job, is_new=True)

    async def get(self, owners: Collection[str], job_id: str) -> ExportJob:
        """Return a job of the owners; raise `UnknownExport`, also for a job of another owner."""
        async with self._database.reading() as session:
            job = await session.scalar(select(ExportJob).where(ExportJob.id == job_id, ExportJob.owner.in_(owners)))
        if job is None:
            raise UnknownExport(job_id)
        return job

    async def cancel(self, owners: Collection[str], job_id: str) -> str | None:
        """Cancel a job of the owners; return the name of its file, which the caller deletes."""
        async with self._database.writing() as session:
            job = await session.scalar(
                select(ExportJob).where(ExportJob.id == job_id, ExportJob.owner.in_(owners)).with_for_update()
            )
            if job is None:
                raise UnknownExport(job_id)
            file_name = job.file_name
            if job.state in {*UNFINISHED, State.DONE}:
                cancelled = {
                    "state": State.CANCELLED.value,
                    "lease": None,
                    "due_at": None,
                    "file_name": None,
                    "finished_at": self._clock(),
                    "expires_at": None,
                }
                await session.execute(update(ExportJob).where(ExportJob.id == job_id).values(cancelled))
        return file_name

    async def discard(self, job_id: str) -> None:
        """Delete a job that could not be delivered, so that its idempotency key can be used again."""
        async with self._database.writing() as session:
            await session.execute(
                delete(ExportJob).where(ExportJob.id == job_id, ExportJob.state == State.QUEUED.value)
            )


def _traceparent() -> str | None:
    carrier: dict[str, str] = {}
    inject(carrier)
    return carrier.get("traceparent")
