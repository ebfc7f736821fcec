"""What follows an update: done before or after the response, repeated while that helps, never lost silently."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from time import monotonic

import httpx
import pytest
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from service.database import Database
from service.errors import DatabaseBusy
from service.flights import outbox as outbox_module
from service.flights.audit import OVERDUE_S, Outbox, record_change
from service.flights.outbox import AfterResponse, BeforeResponse, OutboxRelay, ResponseThenWork, Timing
from service.flights.status import Status
from service.flights.subscribers import LocalSubscribers, StatusChanged
from tests.servers.arm import arm_settings
from tests.servers.asgi import serving
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


@contextmanager
def route(timing: Timing, release: Event, done: Event) -> Iterator[httpx.Client]:
    """Yield a client of an application whose route has work to do that waits until it is released."""

    async def work() -> None:
        await asyncio.to_thread(release.wait, 10)
        done.set()

    async def answer(_: Request) -> Response:
        return await timing.respond(JSONResponse({"ok": True}, headers={"X-Kept": "yes"}), work)

    with serving(Starlette(routes=[Route("/", answer)])) as url, httpx.Client(base_url=url, timeout=10) as client:
        yield client


def test_after_the_response_means_that_the_client_need_not_wait_for_the_work() -> None:
    release, done = Event(), Event()
    with route(AfterResponse(), release, done) as client:
        response = client.get("/")
        assert not done.is_set()
        release.set()
        assert done.wait(10)

    assert response.json() == {"ok": True}
    assert response.headers["X-Kept"] == "yes"


def test_before_the_response_means_that_the_work_is_done_by_then() -> None:
    release, done = Event(), Event()
    with route(BeforeResponse(), release, done) as client:
        with pytest.raises(httpx.ReadTimeout):
            client.get("/", timeout=0.2)
        release.set()
        assert client.get("/").json() == {"ok": True}

    assert done.is_set()


@pytest.mark.anyio
async def test_the_work_is_done_even_if_the_response_can_not_be_sent() -> None:
    done = Event()

    async def work() -> None:
        done.set()

    async def broken(_: object) -> None:
        raise OSError("the client is gone")

    with pytest.raises(OSError, match="gone"):
        await ResponseThenWork(Response(b"{}"), work)({"type": "http"}, asyncio.Queue[object]().get, broken)  # type: ignore[arg-type]

    assert done.is_set()


class Unreliable(LocalSubscribers):
    """Subscribers that fail a number of times."""

    def __init__(self, error: BaseException, *, times: int) -> None:
        super().__init__()
        self.error = error
        self.times = times
        self.told: list[StatusChanged] = []

    async def notify(self, change: StatusChanged) -> None:
        if self.times:
            self.times -= 1
            raise self.error
        self.told.append(change)


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def database(data_dir: Path) -> AsyncIterator[Database]:
    database = Database(arm_settings("indexes", data_dir))
    yield database
    await database.close()


async def written_down(database: Database, change: StatusChanged = CHANGE) -> int:
    """Return the id of a change that is in the audit trail and in the outbox."""
    async with database.writing() as session:
        return await record_change(session, change)


def untold(data_dir: Path) -> list[int]:
    return [row["change_id"] for row in rows(data_dir, "SELECT * FROM outbox ORDER BY change_id")]


def failures(registry: CollectorRegistry) -> float | None:
    return registry.get_sample_value("background_task_failures_total", {"task": "notify"})


@pytest.mark.anyio
async def test_a_busy_channel_is_asked_again_and_the_change_leaves_the_outbox(
    database: Database, data_dir: Path, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "FIRST_PAUSE_S", 0.001)
    subscribers = Unreliable(DatabaseBusy(), times=outbox_module.ATTEMPTS - 1)
    change_id = await written_down(database)
    assert untold(data_dir) == [change_id]

    await OutboxRelay(Outbox(database), subscribers, registry=registry).deliver(change_id, CHANGE)

    assert subscribers.told == [CHANGE]
    assert untold(data_dir) == []
    assert failures(registry) == 0


@pytest.mark.anyio
@pytest.mark.parametrize("error", [DatabaseBusy(), ValueError("a bug")], ids=lambda error: type(error).__name__)
async def test_a_failure_is_counted_and_logged_with_the_change_and_told_later(
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
    change_id = await written_down(database)

    with caplog.at_level(logging.ERROR):
        await relay.deliver(change_id, CHANGE)

    assert failures(registry) == 1
    [record] = caplog.records
    assert record.exc_info is not None
    for fact in ("flight_id=7", "version=2", "departed", CHANGE.trace_id):
        assert str(fact) in record.getMessage()
    assert untold(data_dir) == [change_id]

    running = asyncio.create_task(relay.run(every_s=0.01))
    deadline = monotonic() + 10
    while untold(data_dir) and monotonic() < deadline:  # noqa: ASYNC110 the database tells no event
        await asyncio.sleep(0.01)
    running.cancel()
    assert untold(data_dir) == []
    assert subscribers.told == [CHANGE]


@pytest.mark.anyio
async def test_work_that_is_cancelled_is_counted_and_stays_cancelled(
    database: Database, data_dir: Path, registry: CollectorRegistry
) -> None:
    subscribers = Unreliable(asyncio.CancelledError(), times=1)
    change_id = await written_down(database)

    with pytest.raises(asyncio.CancelledError):
        await OutboxRelay(Outbox(database), subscribers, registry=registry).deliver(change_id, CHANGE)

    assert failures(registry) == 1
    assert untold(data_dir) == [change_id]


@pytest.mark.anyio
async def test_a_change_is_left_to_its_own_process_for_a_while_and_then_to_one_other(database: Database) -> None:
    moment = [CHANGE.changed_at]
    outbox = Outbox(database, clock=lambda: moment[0])
    change_id = await written_down(database)

    at_first = await outbox.overdue()
    moment[0] += timedelta(seconds=OVERDUE_S + 1)
    rounds = await asyncio.gather(*(outbox.overdue() for _ in range(4)))

    assert at_first == []
    assert [found for found in rounds if found] == [[(change_id, CHANGE)]]
    moment[0] += timedelta(seconds=OVERDUE_S + 1)
    assert await outbox.overdue() == [(change_id, CHANGE)], "whoever took it may have ended too"


@pytest.mark.anyio
async def test_a_change_that_is_rolled_back_is_neither_recorded_nor_told(database: Database, data_dir: Path) -> None:
    async def interrupted() -> None:
        async with database.writing() as session:
            await record_change(session, CHANGE)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await interrupted()

    assert rows(data_dir, "SELECT * FROM status_changes") == []
    assert untold(data_dir) == []


@pytest.mark.anyio
async def test_watchers_hear_of_their_flight_as_long_as_they_watch() -> None:
    subscribers = LocalSubscribers()
    async with subscribers.subscribe(7) as mine, subscribers.subscribe(8) as other:
        await subscribers.notify(CHANGE)
    await subscribers.notify(CHANGE)

    assert mine.get_nowait() == CHANGE
    assert mine.empty()
    assert other.empty()
