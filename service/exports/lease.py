"""Leases on jobs: one attempt at a time may work on a job, for as long as it renews its lease.

A message may be delivered twice, and a worker may die or stall at any moment. The job's row decides: an attempt claims
the job, renews the lease while it writes the file, and its result is accepted only while it holds the lease.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, or_, update

from service.core.models import ExportJob
from service.database import Database
from service.exports.schemas import ExportRequest, State

MAX_ATTEMPTS: Final = 8
"""An export that starts this often and never finishes probably crashes its workers."""


class Interrupted(Exception):
    """A transient failure ended the attempt; the job is queued for another one."""


class LeaseLost(Exception):
    """The job was cancelled, or another attempt holds the lease."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A job that an attempt has leased."""

    job_id: str
    lease: str
    attempt: int
    request: ExportRequest


@dataclass(frozen=True, kw_only=True)
class ExportFile:
    """A complete file."""

    name: str
    size_bytes: int
    rows: int


class Leases:
    """Claims, renews and ends the leases of attempts."""

    def __init__(self, database: Database, *, lease_s: float, expiry_s: float, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._lease_s = lease_s
        self._expiry_s = expiry_s
        self._clock = clock

    async def claim(self, job_id: str) -> Claim | None:
        """Return a claim on the job, None if it is finished or deleted or another attempt holds an unexpired lease."""
        now = self._clock()
        lease = secrets.token_hex(16)
        abandoned = and_(ExportJob.state == State.RUNNING.value, ExportJob.due_at < now)
        async with self._database.writing() as session:
            rows = await session.execute(
                update(ExportJob)
                .where(ExportJob.id == job_id, or_(ExportJob.state == State.QUEUED.value, abandoned))
                .values(
                    state=State.RUNNING.value,
                    lease=lease,
                    due_at=now + timedelta(seconds=self._lease_s),
                    attempts=ExportJob.attempts + 1,
                    rows_done=0,
                )
                .returning(ExportJob.attempts, ExportJob.request)
            )
            row = rows.one_or_none()
        if row is None:
            return None
        request = ExportRequest.model_validate_json(row.request)
        return Claim(job_id=job_id, lease=lease, attempt=row.attempts, request=request)

    async def renew(self, claim: Claim, *, rows_done: int, rows_total: int) -> None:
        """Renew the lease and store the progress; raise `LeaseLost`."""
        due_at = self._clock() + timedelta(seconds=self._lease_s)
        await self._write(claim, due_at=due_at, rows_done=rows_done, rows_total=rows_total)

    async def finish(self, claim: Claim, made: ExportFile) -> None:
        """Make the file the result of the job; raise `LeaseLost`."""
        now = self._clock()
        await self._write(
            claim,
            state=State.DONE.value,
            lease=None,
            due_at=None,
            rows_done=made.rows,
            rows_total=made.rows,
            file_name=made.name,
            size_bytes=made.size_bytes,
            finished_at=now,
            expires_at=now + timedelta(seconds=self._expiry_s),
        )

    async def release(self, claim: Claim, *, due_s: float) -> None:
        """Queue the job for another attempt; after `due_s` seconds without one its message is sent again."""
        due_at = self._clock() + timedelta(seconds=due_s)
        await self._write(claim, state=State.QUEUED.value, lease=None, due_at=due_at)

    async def fail(self, claim: Claim, error: str) -> None:
        now = self._clock()
        await self._write(claim, state=State.FAILED.value, lease=None, due_at=None, error=error[:200], finished_at=now)

    async def _write(self, claim: Claim, **values: Any) -> None:
        held: ColumnElement[bool] = and_(ExportJob.id == claim.job_id, ExportJob.lease == claim.lease)
        async with self._database.writing() as session:
            rows = await session.execute(update(ExportJob).where(held).values(values).returning(ExportJob.id))
            if rows.one_or_none() is None:
                raise LeaseLost
