import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import URL, select, text, update

from service.core.models import Flight
from service.database import Database
from service.database.postgres import Postgres
from service.database.reads import Consistency, current_consistency
from service.database.replica import PRIMARY_POSITION, READ_REASONS
from service.errors import DatabaseUnreachable
from service.settings import Settings
from tests.servers.databases import A_MINUTE, checked_out
from tests.servers.postgres import PostgresServer, replica_of

pytestmark = [pytest.mark.anyio, pytest.mark.server("postgresql")]

IS_REPLICA = text("SELECT pg_is_in_recovery()")
VERSION = select(Flight.version).where(Flight.id == 1)


@pytest.fixture
def replica(postgres_replica: PostgresServer) -> Iterator[PostgresServer]:
    """The replica, running and replaying again when the test is over."""
    yield postgres_replica
    if postgres_replica.process is None:
        postgres_replica.start()
    postgres_replica.run("SELECT pg_wal_replay_resume()")


class Watched:
    """A database with a replica, and its metrics."""

    def __init__(self, database: Database, registry: CollectorRegistry) -> None:
        self.database = database
        self._registry = registry

    def value(self, name: str, **labels: str) -> float:
        return self._registry.get_sample_value(name, labels) or 0.0

    def reads(self, role: str) -> float:
        return sum(self.value("db_reads_total", role=role, reason=reason) for reason in READ_REASONS[role])

    async def reads_on_replica(self) -> bool:
        async with self.database.reading() as session:
            return bool(await session.scalar(IS_REPLICA))

    async def until(self, claim: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not claim():  # noqa: ASYNC110 metrics have no event to wait for
                await asyncio.sleep(0.01)

    async def until_reads_are_on(self, *, replica: bool) -> None:
        async with asyncio.timeout(60):
            while await self.reads_on_replica() != replica:  # noqa: ASYNC110 the servers have no event to wait for
                await asyncio.sleep(0.01)

    async def version(self) -> int:
        async with self.database.reading() as session:
            return int((await session.scalars(VERSION)).one())

    async def write(self, version: int) -> None:
        async with self.database.writing() as session:
            await session.execute(update(Flight).where(Flight.id == 1).values(version=version))


@asynccontextmanager
async def watching(primary: URL, replica: URL, *, start: bool = True, **settings: object) -> AsyncIterator[Watched]:
    registry = CollectorRegistry()
    urls = {"database_url": primary, "database_replica_url": replica}
    shown = {name: url.render_as_string(hide_password=False) for name, url in urls.items()}
    usual = {"techniques": "all", "replica_max_lag_s": 60} | A_MINUTE
    database = Database(Settings(**usual | shown | settings), registry=registry)  # type: ignore[arg-type]  # settings by name
    async with AsyncExitStack() as stack:
        if start:
            await stack.enter_async_context(database)
        else:
            stack.push_async_callback(database.close)
        yield Watched(database, registry)


@pytest.fixture
def on_replica(postgres_url: URL, replica: PostgresServer) -> URL:
    """The address of the test's database on the replica."""
    return replica.url(postgres_url.database or "")


async def test_reads_go_to_the_replica_and_writes_to_the_primary(postgres_url: URL, on_replica: URL) -> None:
    async with watching(postgres_url, on_replica) as watched:
        await watched.until_reads_are_on(replica=True)
        async with watched.database.writing() as session:
            assert await session.scalar(IS_REPLICA) is False
        assert set(watched.database.engines) == {"primary", "replica"}
        assert watched.value("db_reads_total", role="replica", reason="fresh") > 0
        assert watched.value("db_replica_up") == 1


async def test_before_the_watch_starts_reads_go_to_the_primary(postgres_url: URL, on_replica: URL) -> None:
    async with watching(postgres_url, on_replica, start=False) as watched:
        assert not await watched.reads_on_replica()
        assert watched.value("db_reads_total", role="primary", reason="down") == 1


async def test_without_the_technique_no_replica_is_known(postgres_url: URL, on_replica: URL) -> None:
    async with watching(postgres_url, on_replica, techniques="pooling,indexes") as watched:
        assert set(watched.database.engines) == {"primary"}
        assert not await watched.reads_on_replica()


async def test_an_arm_without_indexes_reads_the_replicas_twin(postgres_url: URL, on_replica: URL) -> None:
    async with watching(postgres_url, on_replica, techniques="read_replicas") as watched:
        await watched.until_reads_are_on(replica=True)
        async with watched.database.reading() as session:
            assert await session.scalar(text("SELECT current_database()")) == f"{postgres_url.database}_unindexed"


async def test_a_process_reads_its_own_write_while_the_replica_lacks_it(
    postgres_url: URL, on_replica: URL, replica: PostgresServer
) -> None:
    async with watching(postgres_url, on_replica) as watched:
        await watched.until_reads_are_on(replica=True)
        replica.run("SELECT pg_wal_replay_pause()")
        await watched.write(7)
        assert await watched.version() == 7
        assert not await watched.reads_on_replica()
        assert watched.value("db_reads_total", role="primary", reason="read_your_writes") == 2
        replica.run("SELECT pg_wal_replay_resume()")
        await watched.until_reads_are_on(replica=True)
        assert await watched.version() == 7


async def test_a_client_reads_its_write_to_another_process_and_others_may_not_yet(
    postgres_url: URL, on_replica: URL, replica: PostgresServer
) -> None:
    one, other = watching(postgres_url, on_replica), watching(postgres_url, on_replica)
    async with one as writer, other as reader:
        await reader.until_reads_are_on(replica=True)
        replica.run("SELECT pg_wal_replay_pause()")
        client = Consistency()
        token = current_consistency.set(client)
        await writer.write(8)
        current_consistency.reset(token)
        assert await reader.version() == 1
        token = current_consistency.set(Consistency(after=client.wrote))
        assert await reader.version() == 8
        current_consistency.reset(token)


async def test_a_replica_beyond_the_maximum_lag_is_not_used_until_it_caught_up(
    postgres_url: URL, on_replica: URL, replica: PostgresServer, postgres_server: PostgresServer
) -> None:
    async with watching(postgres_url, on_replica, replica_max_lag_s=0.3) as watched:
        await watched.until_reads_are_on(replica=True)
        replica.run("SELECT pg_wal_replay_pause()")
        postgres_server.run("UPDATE flights SET version = 9 WHERE id = 1", database=postgres_url.database or "")
        await watched.until(lambda: watched.value("db_replication_lag_seconds") > 0.3)
        assert await watched.version() == 9
        assert watched.value("db_reads_total", role="primary", reason="lagging") >= 1
        assert watched.value("db_replica_up") == 1
        replica.run("SELECT pg_wal_replay_resume()")
        await watched.until_reads_are_on(replica=True)
        await watched.until(lambda: watched.value("db_replication_lag_seconds") < 0.3)
        assert await watched.version() == 9


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["fast", "crash"])
@pytest.mark.parametrize("techniques", ["all", "read_replicas,indexes"], ids=["pooled", "unpooled"])
async def test_a_replica_that_stops_costs_no_read_that_begins_afterwards(
    postgres_url: URL, on_replica: URL, replica: PostgresServer, how: signal.Signals, techniques: str
) -> None:
    async with watching(postgres_url, on_replica, techniques=techniques) as watched:
        await watched.until_reads_are_on(replica=True)
        await asyncio.gather(*(watched.version() for _ in range(8)))
        before = watched.reads("primary")
        await asyncio.to_thread(replica.stop, how)
        assert await asyncio.gather(*(watched.version() for _ in range(16))) == [1] * 16
        assert watched.value("db_replica_up") == 0
        assert watched.reads("primary") == before + 16
        await asyncio.to_thread(replica.start)
        await watched.until_reads_are_on(replica=True)
        assert watched.value("db_replica_up") == 1


async def test_a_replica_that_was_stopped_while_the_log_went_on_catches_up(
    postgres_url: URL, on_replica: URL, replica: PostgresServer, postgres_server: PostgresServer
) -> None:
    async with watching(postgres_url, on_replica) as watched:
        await watched.until_reads_are_on(replica=True)
        await asyncio.to_thread(replica.stop)
        for version in (4, 5):
            await watched.write(version)
            await asyncio.to_thread(postgres_server.run, "SELECT pg_switch_wal()", "CHECKPOINT")
        await asyncio.to_thread(replica.start)
        await watched.until_reads_are_on(replica=True)
        assert await watched.version() == 5


async def test_a_replica_that_stops_in_the_middle_of_a_read_is_remembered(
    postgres_url: URL, on_replica: URL, replica: PostgresServer
) -> None:
    async with watching(postgres_url, on_replica) as watched:
        await watched.until_reads_are_on(replica=True)
        request = Consistency()
        token = current_consistency.set(request)
        async with AsyncExitStack() as stack:
            stack.enter_context(pytest.raises(DatabaseUnreachable))
            session = await stack.enter_async_context(watched.database.reading())
            await asyncio.to_thread(replica.stop)
            await session.scalars(VERSION)
        current_consistency.reset(token)
        assert request.replica_failed
        assert not await watched.reads_on_replica()
        assert checked_out(watched.database, "replica") == 0


async def test_a_replica_that_is_silent_costs_no_read_for_long(
    postgres_url: URL, on_replica: URL, replica: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.database.postgres.MONITOR_TIMEOUT_S", 1.0)  # that of production
    async with watching(postgres_url, on_replica) as watched:
        await watched.until_reads_are_on(replica=True)
        assert replica.process
        replica.freeze()
        try:
            await watched.until(lambda: watched.value("db_replica_up") == 0)
            loop = asyncio.get_running_loop()
            waits_s: list[float] = []
            while not waits_s or min(waits_s) >= 1:
                began = loop.time()
                assert await watched.version() == 1
                waits_s.append(loop.time() - began)
                assert len(waits_s) < 20, "one of them takes less than any timeout, on a busy machine too"
        finally:
            replica.thaw()
        await watched.until_reads_are_on(replica=True)


async def test_a_server_that_follows_no_other_is_no_replica(postgres_url: URL) -> None:
    async with watching(postgres_url, postgres_url) as watched:
        await asyncio.sleep(0.6)
        assert not await watched.reads_on_replica()
        assert watched.value("db_reads_total", role="replica", reason="fresh") == 0
        assert watched.value("db_replica_up") == 0


async def test_a_replica_that_was_promoted_is_no_replica_any_more(
    postgres_url: URL, postgres_server: PostgresServer
) -> None:
    with replica_of(postgres_server) as promoted:
        async with watching(postgres_url, promoted.url(postgres_url.database or "")) as watched:
            await watched.until_reads_are_on(replica=True)
            promoted.run("SELECT pg_promote()")
            await watched.until(lambda: watched.value("db_replica_up") == 0)
            await watched.write(2)
            assert await watched.version() == 2
            await asyncio.sleep(0.6)
            assert watched.value("db_replica_up") == 0


async def test_the_first_read_that_finds_the_replica_down_saves_the_others_the_attempt(
    postgres_url: URL, on_replica: URL, replica: PostgresServer
) -> None:
    async with watching(postgres_url, on_replica, replica_max_lag_s=3600) as watched:
        await watched.until_reads_are_on(replica=True)
        await watched.database._reads.stop()  # the monitor must not be what notices
        await asyncio.to_thread(replica.stop)
        assert await watched.version() == 1
        assert watched.value("db_replica_up") == 0


async def test_what_waits_for_the_replica_runs_when_it_has_caught_up(
    postgres_url: URL, on_replica: URL, replica: PostgresServer
) -> None:
    ran = asyncio.Event()

    async def action() -> None:
        ran.set()

    async with watching(postgres_url, on_replica) as watched:
        await watched.until_reads_are_on(replica=True)
        replica.run("SELECT pg_wal_replay_pause()")
        await watched.write(2)
        watched.database.once_replicated(action)
        await asyncio.sleep(0.6)
        assert not ran.is_set()
        replica.run("SELECT pg_wal_replay_resume()")
        async with asyncio.timeout(60):
            await ran.wait()


async def test_after_a_write_of_unknown_position_reads_stay_on_the_primary_until_it_is_known(
    postgres_url: URL, on_replica: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with watching(postgres_url, on_replica) as watched:
        await watched.until_reads_are_on(replica=True)
        monkeypatch.setattr(
            "service.database.reads.PRIMARY_POSITION", text("SELECT pg_terminate_backend(pg_backend_pid())")
        )
        await watched.write(3)
        assert await watched.version() == 3
        await watched.until_reads_are_on(replica=True)
        assert await watched.version() == 3


async def test_positions_are_bytes_of_the_log(postgres_url: URL) -> None:
    engine = Postgres(postgres_url, indexed=True).monitoring_engine()
    async with engine.connect() as connection:
        first = await connection.scalar(PRIMARY_POSITION)
        await connection.execute(text("UPDATE flights SET version = version"))
        second = await connection.scalar(PRIMARY_POSITION)
    await engine.dispose()
    assert isinstance(first, int)
    assert second is not None
    assert second > first + 100_000
