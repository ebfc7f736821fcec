"""The transactional outbox of status updates: a change is committed with its audit record and its outbox entry.

So a change is delivered to the subscribers even if the process or the client's connection ends right after the commit:
a failed delivery does not fail the request, and any process retries it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from prometheus_client import CollectorRegistry, Counter
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from service.core.models import OutboxEntry, StatusChange
from service.core.periodic import run_periodically
from service.database import Database
from service.errors import ServiceError, Unavailable
from service.flights.schemas import Status
from service.flights.subscribers import StatusChanged, Subscribers

logger = logging.getLogger("flightdeck.outbox")

OVERDUE_S: Final = 10.0
"""Age at which any process may deliver a change; the process that wrote it normally needs milliseconds."""
BATCH_SIZE: Final = 100
INTERVAL_S: Final = 5.0
"""Between two searches for overdue changes."""
ATTEMPTS: Final = 4
FIRST_PAUSE_S: Final = 0.05


async def record_change(session: AsyncSession, change: StatusChanged) -> int:
    """Insert the audit record and the outbox entry in the transaction of the change; return the record's id."""
    record = StatusChange(
        flight_id=change.flight_id,
        version=change.version,
        status_before=change.before.value,
        status_after=change.after.value,
        departure_delay_min=change.departure_delay_min,
        changed_at=change.changed_at,
        trace_id=change.trace_id,
    )
    session.add(record)
    await session.flush()
    session.add(OutboxEntry(change_id=record.id, due_at=change.changed_at + timedelta(seconds=OVERDUE_S)))
    return record.id


def _now() -> datetime:
    return datetime.now(UTC)


class Outbox:
    """The changes that have not been delivered to the subscribers yet."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime] = _now) -> None:
        self._database = database
        self._clock = clock

    async def mark_delivered(self, change_id: int) -> None:
        """Delete the entry, if it still exists."""
        async with self._database.writing() as session:
            await session.execute(delete(OutboxEntry).where(OutboxEntry.change_id == change_id))

    async def overdue(self) -> list[tuple[int, StatusChanged]]:
        """Claim overdue changes and return them, oldest first.

        A claim lasts `OVERDUE_S`; then another process may claim the change, if this one has not delivered it.
        """
        now = self._clock()
        due = select(OutboxEntry).where(OutboxEntry.due_at < now).order_by(OutboxEntry.change_id).limit(BATCH_SIZE)
        async with self._database.reading() as session:
            entries = (await session.scalars(due)).all()
        return [(entry.change_id, change) for entry in entries if (change := await self._claim(entry, now)) is not None]

    async def _claim(self, entry: OutboxEntry, now: datetime) -> StatusChanged | None:
        """Return the change, None if another process claimed it first."""
        unclaimed = (OutboxEntry.change_id == entry.change_id, OutboxEntry.due_at == entry.due_at)
        async with self._database.writing() as session:
            claimed = await session.execute(
                update(OutboxEntry)
                .where(*unclaimed)
                .values(due_at=now + timedelta(seconds=OVERDUE_S))
                .returning(OutboxEntry.change_id)
            )
            if claimed.one_or_none() is None:
                return None
            record = await session.get(StatusChange, entry.change_id)
        if record is None:
            return None
        return StatusChanged(
            flight_id=record.flight_id,
            version=record.version,
            before=Status(record.status_before),
            after=Status(record.status_after),
            departure_delay_min=record.departure_delay_min,
            changed_at=record.changed_at,
            trace_id=record.trace_id,
        )


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


async def _retry_unavailable(work: Callable[[], Awaitable[None]]) -> None:
    """Repeat the work, with growing pauses, while it raises `Unavailable`."""
    for attempt in range(1, ATTEMPTS):
        try:
            await work()
        except Unavailable:
            await asyncio.sleep(FIRST_PAUSE_S * 2**attempt)
        else:
            return
    await work()
