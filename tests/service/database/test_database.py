import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import event, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from service.core.models import Flight
from service.errors import NotReady, PoolExhausted
from tests.servers.databases import checked_out, opened

pytestmark = pytest.mark.anyio


def connects(engine: AsyncEngine) -> Callable[[], int]:
    """Return a count of the engine's new connections."""
    made: list[object] = []
    event.listen(engine.sync_engine, "connect", lambda connection, _record: made.append(connection))
    return lambda: len(made)


async def delay(session: AsyncSession, flight_id: int) -> int | None:
    return (await session.scalars(select(Flight.departure_delay_min).where(Flight.id == flight_id))).one()


async def test_a_loaded_database_is_ready(database_url: str) -> None:
    async with opened(database_url) as database:
        await database.check()


async def test_the_twin_is_ready_too(database_url: str) -> None:
    async with opened(database_url, techniques="none") as database:
        await database.check()


async def test_a_database_without_a_complete_load_is_not_ready(database_url: str) -> None:
    async with opened(database_url) as database:
        async with database.writing() as session:
            await session.execute(text("DELETE FROM dataset_load"))
        with pytest.raises(NotReady, match="not loaded"):
            await database.check()


async def test_a_write_is_committed_completely(database_url: str) -> None:
    async with opened(database_url) as database:
        async with database.writing() as session:
            await session.execute(update(Flight).where(Flight.id == 1).values(departure_delay_min=99))
        async with database.reading() as session:
            assert await delay(session, 1) == 99


async def test_a_write_that_fails_is_rolled_back(database_url: str) -> None:
    async with opened(database_url) as database:
        async with database.reading() as session:
            before = await delay(session, 1)

        async def write_half() -> None:
            async with database.writing() as session:
                await session.execute(update(Flight).where(Flight.id == 1).values(departure_delay_min=99))
                raise RuntimeError("half-way")

        with pytest.raises(RuntimeError, match="half-way"):
            await write_half()
        async with database.reading() as session:
            assert await delay(session, 1) == before


async def test_writers_that_read_first_lose_no_update(database_url: str) -> None:
    async with opened(database_url) as database:

        async def count_up() -> None:
            async with database.writing() as session:
                version = (await session.scalars(select(Flight.version).where(Flight.id == 1).with_for_update())).one()
                await asyncio.sleep(0)
                await session.execute(update(Flight).where(Flight.id == 1).values(version=version + 1))

        await asyncio.gather(*(count_up() for _ in range(8)))
        async with database.reading() as session:
            assert (await session.scalars(select(Flight.version).where(Flight.id == 1))).one() == 9


async def test_a_reader_does_not_wait_for_a_writer(database_url: str) -> None:
    async with opened(database_url) as database, database.writing() as writer:
        await writer.execute(update(Flight).values(version=2))
        async with asyncio.timeout(60), database.reading() as reader:
            assert (await reader.scalars(select(Flight.version).where(Flight.id == 1))).one() == 1


@pytest.mark.parametrize(("technique", "expected"), [("pooling", 1), ("none", 5)])
async def test_pooling_uses_one_connection_for_consecutive_sessions(
    database_url: str, technique: str, expected: int
) -> None:
    async with opened(database_url, techniques=technique) as database:
        count = connects(database.engines["primary"])
        for _ in range(5):
            async with database.reading() as session:
                await session.execute(select(1))
        assert count() == expected


async def test_an_exhausted_pool_reports_its_size_and_the_wait(database_url: str) -> None:
    limits = {"pool_size": 2, "pool_max_overflow": 1, "pool_timeout_s": 0.05}
    async with opened(database_url, **limits) as database:

        async def hold(release: asyncio.Event, held: asyncio.Semaphore) -> None:
            async with database.reading() as session:
                await session.execute(select(1))
                held.release()
                await release.wait()

        release, held = asyncio.Event(), asyncio.Semaphore(0)
        holders = [asyncio.create_task(hold(release, held)) for _ in range(3)]
        for _ in holders:
            await held.acquire()
        with pytest.raises(PoolExhausted, match=r"after 0\.1 s: all 2 and 1 overflow") as raised:
            async with database.reading() as session:
                await session.execute(select(1))
        release.set()
        await asyncio.gather(*holders)
        assert raised.value.headers["Retry-After"] == "1"
        assert checked_out(database) == 0


async def test_cancelled_requests_give_their_connections_back(database_url: str) -> None:
    slow = text("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400000) SELECT max(i) FROM n")
    async with opened(database_url, pool_size=4, pool_max_overflow=0, pool_timeout_s=60) as database:

        async def request() -> None:
            async with database.reading() as session:
                await session.execute(slow)

        for round_number in range(4):
            tasks = [asyncio.create_task(request()) for _ in range(24)]
            await asyncio.sleep(0.01 * round_number)  # cancelled during checkout, connect and read
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert any(isinstance(result, asyncio.CancelledError) for result in results)
        async with asyncio.timeout(60):
            while checked_out(database):  # noqa: ASYNC110 the pool has no event to wait for
                await asyncio.sleep(0.005)
            await asyncio.gather(*(request() for _ in range(8)))
        assert checked_out(database) == 0
