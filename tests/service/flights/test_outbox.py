"""A committed change is delivered, retried while its dependencies are unavailable, and never lost."""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

import pytest
from prometheus_client import CollectorRegistry

from service.database import Database
from service.errors import DatabaseBusy
from service.flights import outbox as outbox_module
from service.flights.outbox import OVERDUE_S, Outbox, OutboxRelay, record_change
from service.flights.schemas import Status
from service.flights.subscribers import LocalSubscribers, StatusChanged
from tests.servers.arm import arm_settings
from tests.service.rows import rows

CHANGE = StatusChanged(
    flight_id=7,
    version=2,
    before=Status.SCHEDULED,
    after=Status.DEPARTED,
    departure_delay_min=5,
    changed_at=datetime(2013, 1, 1, 12, tzinfo=UTC),
    trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
)


class Unreliable(LocalSubscribers):
    """Subscribers whose first notifications fail."""

    def __init__(self, error: BaseException, *, times: int) -> None:
        super().__init__()
        self.error = error
        self.times = times
        self.received: list[StatusChanged] = []

    async def notify(self, change: StatusChanged) -> None:
        if self.times:
            self.times -= 1
            raise self.error
        self.received.append(change)


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def database(data_dir: Path) -> AsyncIterator[Database]:
    database = Database(arm_settings("indexes", data_dir))
    yield database
    await database.close()


async def recorded(database: Database, change: StatusChanged = CHANGE) -> int:
    """Return the id of a change that is committed with its audit record and outbox entry."""
    async with database.writing() as session:
        return await record_change(session, change)


def undelivered(data_dir: Path) -> list[int]:
    return [row["change_id"] for row in rows(data_dir, "SELECT * FROM outbox ORDER BY change_id")]


def failures(registry: CollectorRegistry) -> float | None:
    return registry.get_sample_value("background_task_failures_total", {"task": "notify"})


@pytest.mark.anyio
async def test_a_delivery_is_retried_while_the_channel_is_busy(
    database: Database, data_dir: Path, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "FIRST_PAUSE_S", 0.001)
    subscribers = Unreliable(DatabaseBusy(), times=outbox_module.ATTEMPTS - 1)
    change_id = await recorded(database)
    assert undelivered(data_dir) == [change_id]

    await OutboxRelay(Outbox(database), subscribers, registry=registry).deliver(change_id, CHANGE)

    assert subscribers.received == [CHANGE]
    assert undelivered(data_dir) == []
    assert failures(registry) == 0


@pytest.mark.anyio
@pytest.mark.parametrize("error", [DatabaseBusy(), ValueError("a bug")], ids=lambda error: type(error).__name__)
async def test_a_failed_delivery_is_counted_logged_and_retried_from_the_outbox(
    database: Database,
    data_dir: Path,
    registry: CollectorRegistry,
    error: Exception,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outbox_module, "FIRST_PAUSE_S", 0.001)
    subscribers = Unreliable(error, times=outbox_module.ATTEMPTS if isinstance(error, DatabaseBusy) else 1)
    later = Outbox(database, clock=lambda: CHANGE.changed_at + timedelta(seconds=OVERDUE_S + 1))
    relay = OutboxRelay(later, subscribers, registry=registry)
    change_id = await recorded(database)

    with caplog.at_level(logging.ERROR):
        await relay.deliver(change_id, CHANGE)

    assert failures(registry) == 1
    [record] = caplog.records
    assert record.exc_info is not None
    for fact in ("flight_id=7", "version=2", "departed", CHANGE.trace_id):
        assert str(fact) in record.getMessage()
    assert undelivered(data_dir) == [change_id]

    running = asyncio.create_task(relay.run(every_s=0.01))
    deadline = monotonic() + 60
    while undelivered(data_dir) and monotonic() < deadline:  # noqa: ASYNC110 the database has no event for it
        await asyncio.sleep(0.01)
    running.cancel()
    assert undelivered(data_dir) == []
    assert subscribers.received == [CHANGE]


@pytest.mark.anyio
async def test_a_cancelled_delivery_is_counted_and_stays_cancelled(
    database: Database, data_dir: Path, registry: CollectorRegistry
) -> None:
    subscribers = Unreliable(asyncio.CancelledError(), times=1)
    change_id = await recorded(database)

    with pytest.raises(asyncio.CancelledError):
        await OutboxRelay(Outbox(database), subscribers, registry=registry).deliver(change_id, CHANGE)

    assert failures(registry) == 1
    assert undelivered(data_dir) == [change_id]


@pytest.mark.anyio
async def test_an_overdue_change_is_claimed_by_one_process_at_a_time(database: Database) -> None:
    moment = [CHANGE.changed_at]
    outbox = Outbox(database, clock=lambda: moment[0])
    change_id = await recorded(database)

    at_first = await outbox.overdue()
    moment[0] += timedelta(seconds=OVERDUE_S + 1)
    rounds = await asyncio.gather(*(outbox.overdue() for _ in range(4)))

    assert at_first == []
    assert [found for found in rounds if found] == [[(change_id, CHANGE)]]
    moment[0] += timedelta(seconds=OVERDUE_S + 1)
    assert await outbox.overdue() == [(change_id, CHANGE)], "the process that claimed it may have ended"


@pytest.mark.anyio
async def test_a_change_that_is_rolled_back_is_not_recorded(database: Database, data_dir: Path) -> None:
    async def interrupted() -> None:
        async with database.writing() as session:
            await record_change(session, CHANGE)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await interrupted()

    assert rows(data_dir, "SELECT * FROM status_changes") == []
    assert undelivered(data_dir) == []


@pytest.mark.anyio
async def test_subscribers_receive_the_changes_of_their_flight_while_they_are_subscribed() -> None:
    subscribers = LocalSubscribers()
    async with subscribers.subscribe(7) as mine, subscribers.subscribe(8) as other:
        await subscribers.notify(CHANGE)
    await subscribers.notify(CHANGE)

    assert mine.get_nowait() == CHANGE
    assert mine.empty()
    assert other.empty()
