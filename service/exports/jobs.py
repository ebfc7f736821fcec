"""The exports of an owner: asked for once, found, cancelled."""

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
from service.exports.schemas import ExportRequest
from service.exports.state import UNFINISHED, State

FIRST_SENDING_DUE_S = 60.0
"""A message that no worker acts on for this long may be lost; it is sent again."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A job, and whether this request made it or an earlier one with the same idempotency key did."""

    job: ExportJob
    is_new: bool


class Jobs:
    """The export jobs as their owners see them."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    async def ask(self, request: ExportRequest, *, owners: Sequence[str], key: str | None) -> Asked:
        """Return the job for a request; raise `IdempotencyKeyReused` if the key was given with another one.

        A new job is the first owner's; a key counts for all of them.
        """
        try:
            return await self._asked(request, owners=owners, key=key)
        except IntegrityError:  # the same key, at the same moment: the other request's row is there now
            return await self._asked(request, owners=owners, key=key)

    async def _asked(self, request: ExportRequest, *, owners: Sequence[str], key: str | None) -> Asked:
        now = self._clock()
        async with self._database.writing() as session:
            if key is not None:
                earlier = await session.scalar(
                    select(ExportJob).where(ExportJob.owner.in_(owners), ExportJob.idempotency_key == key)
                )
                if earlier is not None:
                    if earlier.request != request.text():
                        raise IdempotencyKeyReused
                    return Asked(job=earlier, is_new=False)
            job = ExportJob(
                id=secrets.token_urlsafe(18),
                owner=owners[0],
                idempotency_key=key,
                request=request.text(),
                state=State.QUEUED.value,
                due_at=now + timedelta(seconds=FIRST_SENDING_DUE_S),
                created_at=now,
                traceparent=_traceparent(),
            )
            session.add(job)
        return Asked(job=job, is_new=True)

    async def of(self, owners: Collection[str], job_id: str) -> ExportJob:
        """Return the owners' job; raise `UnknownExport`, also for somebody else's."""
        async with self._database.reading() as session:
            job = await session.scalar(select(ExportJob).where(ExportJob.id == job_id, ExportJob.owner.in_(owners)))
        if job is None:
            raise UnknownExport(job_id)
        return job

    async def cancel(self, owners: Collection[str], job_id: str) -> str | None:
        """Cancel the owners' job, whatever its state; return the name of the file that has to go."""
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

    async def forget(self, job_id: str) -> None:
        """Remove a job that could not be handed to anyone, so that its idempotency key is free again."""
        async with self._database.writing() as session:
            await session.execute(
                delete(ExportJob).where(ExportJob.id == job_id, ExportJob.state == State.QUEUED.value)
            )


def _traceparent() -> str | None:
    carrier: dict[str, str] = {}
    inject(carrier)
    return carrier.get("traceparent")
