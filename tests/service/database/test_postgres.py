import asyncio
import signal
from collections.abc import Iterator

import pytest
from sqlalchemy import URL, event, func, select, text, update
from sqlalchemy.exc import ProgrammingError

from service.core.database_url import unindexed_twin
from service.core.models import Flight
from service.errors import DatabaseBusy, DatabaseUnreachable, NotReady, StatementTimeout
from service.settings import Settings
from tests.servers.databases import checked_out, opened
from tests.servers.port import free_port
from tests.servers.postgres import PostgresServer

pytestmark = [pytest.mark.anyio, pytest.mark.server("postgresql")]


@pytest.fixture
def url(postgres_url: URL) -> str:
    return postgres_url.render_as_string(hide_password=False)


async def test_a_statement_that_takes_too_long_is_cancelled_by_the_server(url: str) -> None:
    async with opened(url, statement_timeout_s=0.5) as database:
        with pytest.raises(StatementTimeout):
            async with database.reading() as session:
                await session.execute(text("SELECT pg_sleep(5)"))
        async with database.reading() as session:
            assert await session.scalar(select(1)) == 1
        assert checked_out(database) == 0


async def test_a_lock_timeout_is_database_busy(url: str) -> None:
    change = update(Flight).where(Flight.id == 1).values(version=2)
    async with opened(url, lock_timeout_s=0.1) as database, database.writing() as first:
        await first.execute(change)
        with pytest.raises(DatabaseBusy):
            async with database.writing() as second:
                await second.execute(change)


@pytest.mark.parametrize(("techniques", "expected"), [("timeouts", ("10s", "2s")), ("none", ("0", "0"))])
async def test_only_with_timeouts_does_the_server_know_limits(
    url: str, techniques: str, expected: tuple[str, str]
) -> None:
    limits = select(func.current_setting("statement_timeout"), func.current_setting("lock_timeout"))
    defaults = {name: Settings.model_fields[name].default for name in ("statement_timeout_s", "lock_timeout_s")}
    async with opened(url, techniques=techniques, **defaults) as database, database.reading() as session:
        assert tuple((await session.execute(limits)).one()) == expected


async def test_without_indexes_the_twin_is_read(url: str, postgres_url: URL) -> None:
    indexes = text("SELECT count(*) FROM pg_indexes WHERE indexname LIKE 'ix_%'")
    async with opened(url) as database, database.reading() as session:
        assert await session.scalar(indexes) == 7
        assert await session.scalar(func.current_database().select()) == postgres_url.database
    async with opened(url, techniques="none") as database, database.reading() as session:
        assert await session.scalar(indexes) == 0
        assert await session.scalar(func.current_database().select()) == unindexed_twin(postgres_url).database


async def test_the_server_knows_the_arm(url: str) -> None:
    async with opened(url, arm="optimized") as database, database.reading() as session:
        assert await session.scalar(select(func.current_setting("application_name"))) == "flightdeck optimized"


async def test_a_refused_connection_makes_requests_unavailable_and_the_service_not_ready() -> None:
    async with opened(f"postgresql://user:secret@127.0.0.1:{free_port()}/flights") as database:
        with pytest.raises(DatabaseUnreachable):
            async with database.reading() as session:
                await session.execute(select(1))
        with pytest.raises(NotReady, match=r"127\.0\.0\.1.*is unreachable") as raised:
            await database.check()
        assert "secret" not in str(raised.value)


async def test_a_server_that_is_silent_is_given_up_after_the_connect_timeout() -> None:
    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(swallow, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with opened(f"postgresql://127.0.0.1:{port}/flights", connect_timeout_s=0.2) as database:
            async with asyncio.timeout(30):  # asyncpg's own would be 60
                with pytest.raises(DatabaseUnreachable):
                    async with database.reading() as session:
                        await session.execute(select(1))


async def test_a_database_that_the_server_lacks_is_not_ready(postgres_server: PostgresServer) -> None:
    url = postgres_server.url("nowhere").render_as_string(hide_password=False)
    async with opened(url) as database:
        with pytest.raises(NotReady, match="nowhere is unreachable"):
            await database.check()


async def test_an_empty_database_is_not_ready(postgres_server: PostgresServer) -> None:
    async with opened(postgres_server.url("postgres").render_as_string(hide_password=False)) as database:
        with pytest.raises(NotReady, match="not loaded"):
            await database.check()


async def test_a_database_without_the_newest_migration_is_not_ready(url: str) -> None:
    async with opened(url) as database:
        async with database.writing() as session:
            await session.execute(text("UPDATE alembic_version SET version_num = '0001' WHERE version_num = '0004'"))
        with pytest.raises(NotReady, match="another version"):
            await database.check()


async def test_a_mistake_in_a_statement_stays_a_mistake(url: str) -> None:
    async with opened(url) as database:
        with pytest.raises(ProgrammingError, match="no_such_column"):
            async with database.reading() as session:
                await session.execute(text("SELECT no_such_column FROM flights"))


@pytest.fixture
def restarting(postgres_server: PostgresServer) -> Iterator[PostgresServer]:
    """The primary, running again when the test is over."""
    yield postgres_server
    if postgres_server.process is None:
        postgres_server.start()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["fast", "crash"])
async def test_a_primary_that_restarts_under_load_costs_no_request_afterwards(
    url: str, restarting: PostgresServer, how: signal.Signals
) -> None:
    async with opened(url, pool_size=8, pool_max_overflow=0) as database:
        invalidated: list[object] = []
        pool = database.engines["primary"].sync_engine.pool
        event.listen(pool, "invalidate", lambda connection, *_: invalidated.append(connection))

        async def request() -> None:
            async with database.reading() as session:
                await session.execute(select(func.count()).select_from(Flight))

        async def traffic(results: list[BaseException | None], running: asyncio.Event) -> None:
            while running.is_set():
                results += await asyncio.gather(*(request() for _ in range(4)), return_exceptions=True)
                await asyncio.sleep(0.02)  # refused connections fail at once

        running = asyncio.Event()
        running.set()
        during: list[BaseException | None] = []
        clients = [asyncio.create_task(traffic(during, running)) for _ in range(2)]
        while len(during) < 40:  # noqa: ASYNC110 the traffic has no event to wait for
            await asyncio.sleep(0.01)
        await asyncio.to_thread(restarting.stop, how)
        await asyncio.to_thread(restarting.start)
        running.clear()
        await asyncio.gather(*clients)
        assert {type(result) for result in during} <= {type(None), DatabaseUnreachable}
        assert None in during

        for _ in range(2):  # connections older than the last failure are replaced by their age, not by the pre-ping
            await asyncio.gather(*(request() for _ in range(32)))
        kept = checked_in(pool)
        await asyncio.to_thread(restarting.stop, how)
        await asyncio.to_thread(restarting.start)
        invalidated.clear()
        await asyncio.gather(*(request() for _ in range(32)))
        assert kept > 0
        assert len(invalidated) >= 1, "the pre-ping replaced no dead connection"
        assert checked_out(database) == 0


def checked_in(pool: object) -> int:
    return int(pool.checkedin())  # type: ignore[attr-defined]  # a queue pool has it
