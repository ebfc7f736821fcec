"""The audit trail of status updates, and the outbox of changes that nobody was told of yet."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from service.core.models import OutboxEntry, StatusChange
from service.database import Database
from service.flights.status import Status
from service.flights.subscribers import StatusChanged

OVERDUE_S: Final = 10.0
"""Whoever wrote a change tells it within moments; after this long any process may."""
MOST_AT_ONCE: Final = 100


def _now() -> datetime:
    return datetime.now(UTC)


async def record_change(session: AsyncSession, change: StatusChanged) -> int:
    """Add the change to the audit trail and the outbox, in the transaction that makes it; return the row's id.

    There is no change without its row, whatever happens to the process or to the client's connection afterwards.
    """
    row = StatusChange(
        flight_id=change.flight_id,
        version=change.version,
        status_before=change.before.value,
        status_after=change.after.value,
        departure_delay_min=change.departure_delay_min,
        changed_at=change.changed_at,
        trace_id=change.trace_id,
    )
    session.add(row)
    await session.flush()
    session.add(OutboxEntry(change_id=row.id, due_at=change.changed_at + timedelta(seconds=OVERDUE_S)))
    return row.id


class Outbox:
    """The changes whose subscribers are still to be told."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime] = _now) -> None:
        self._database = database
        self._clock = clock

    async def mark_delivered(self, change_id: int) -> None:
        """Take a change out; it may be gone already."""
        async with self._database.writing() as session:
            await session.execute(delete(OutboxEntry).where(OutboxEntry.change_id == change_id))

    async def overdue(self) -> list[tuple[int, StatusChanged]]:
        """Return changes that the process which made them has not told of, for this one to tell; the oldest first.

        Others leave them alone for a while, and find them again if this process ends too.
        """
        now = self._clock()
        async with self._database.reading() as session:
            due = select(OutboxEntry).where(OutboxEntry.due_at < now).order_by(OutboxEntry.change_id)
            found = (await session.scalars(due.limit(MOST_AT_ONCE))).all()
        return [(row.change_id, change) for row in found if (change := await self._taken(row, now)) is not None]

    async def _taken(self, row: OutboxEntry, now: datetime) -> StatusChanged | None:
        """Return the change if no other process took it at the same time."""
        seen = (OutboxEntry.change_id == row.change_id, OutboxEntry.due_at == row.due_at)
        later = now + timedelta(seconds=OVERDUE_S)
        async with self._database.writing() as session:
            taken = await session.execute(
                update(OutboxEntry).where(*seen).values(due_at=later).returning(OutboxEntry.change_id)
            )
            if taken.one_or_none() is None:
                return None
            written = await session.get(StatusChange, row.change_id)
        return None if written is None else _change(written)


def _change(row: StatusChange) -> StatusChanged:
    return StatusChanged(
        flight_id=row.flight_id,
        version=row.version,
        before=Status(row.status_before),
        after=Status(row.status_after),
        departure_delay_min=row.departure_delay_min,
        changed_at=row.changed_at,
        trace_id=row.trace_id,
    )
