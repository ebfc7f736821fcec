"""Pools and statements on a real PostgreSQL, through the driver that the service uses."""

import asyncio
from collections.abc import AsyncIterator
from time import perf_counter

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry
from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from observability.database.pool import PoolMetrics
from observability.database.queries import QueryMetrics
from tests.servers.postgres import PostgresServer

pytestmark = pytest.mark.server("postgresql")

BOOKS = Table("books", MetaData(), Column("id", Integer, primary_key=True), Column("title", String, unique=True))


class Watched:
    """An engine on the server with a pool of two, its metrics and spans."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.registry = CollectorRegistry()
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = provider.get_tracer("test")
        PoolMetrics(self.registry).attach("primary", engine)
        QueryMetrics(self.registry, tracer=self.tracer).attach("primary", engine)

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, {"db_client_connection_pool_name": "primary", **labels})

    def count(self, state: str) -> float | None:
        return self.value("db_client_connection_count", db_client_connection_state=state)


@pytest.fixture
async def watched(postgres_server: PostgresServer) -> AsyncIterator[Watched]:
    url = postgres_server.url("postgres")
    engine = create_async_engine(url, pool_size=2, max_overflow=0, pool_timeout=0.3, pool_pre_ping=True)
    async with engine.begin() as connection:
        await connection.run_sync(BOOKS.metadata.create_all)
    await engine.dispose()
    yield Watched(engine)
    async with engine.begin() as connection:
        await connection.run_sync(BOOKS.metadata.drop_all)
    await engine.dispose()


async def test_connects_waits_and_timeouts_are_measured_separately(watched: Watched) -> None:
    began = perf_counter()
    async with watched.engine.connect(), watched.engine.connect():
        assert (watched.count("used"), watched.count("idle")) == (2, 0)
        with pytest.raises(PoolTimeout):
            await watched.engine.connect()
    assert watched.value("db_client_connection_timeouts_total") == 1
    assert watched.value("db_client_connection_create_time_seconds_count") == 2
    waited_s = watched.value("db_client_connection_wait_time_seconds_sum") or 0.0
    created_s = watched.value("db_client_connection_create_time_seconds_sum") or 0.0
    assert 0.3 <= waited_s <= perf_counter() - began - created_s
    assert (watched.count("used"), watched.count("idle")) == (0, 2)


async def test_a_cancelled_statement_checks_its_connection_in(watched: Watched) -> None:
    async def query() -> None:
        async with watched.engine.connect() as connection:
            await connection.execute(text("SELECT pg_sleep(30)"))

    tasks = [asyncio.create_task(query()) for _ in range(2)]
    async with asyncio.timeout(60):
        while watched.count("used") != 2:  # noqa: ASYNC110 a gauge wakes nothing
            await asyncio.sleep(0.005)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert watched.count("used") == 0
    assert watched.value("db_client_operation_errors_total", error="CancelledError") == 2
    async with watched.engine.connect() as connection:
        assert (await connection.execute(text("SELECT 1"))).scalar() == 1


async def test_a_connection_that_the_server_closed_is_replaced_and_not_counted_any_more(
    watched: Watched, postgres_server: PostgresServer
) -> None:
    async with watched.engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
    postgres_server.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    async with watched.engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
        assert (watched.count("used"), watched.count("idle")) == (1, 0)
    assert watched.value("db_client_connection_create_time_seconds_count") == 2


async def test_spans_name_the_server_and_the_failure_but_no_value(watched: Watched) -> None:
    with watched.tracer.start_as_current_span("request"):
        async with watched.engine.begin() as connection:
            await connection.execute(insert(BOOKS).values(title="secret"))
            await connection.execute(select(BOOKS).where(BOOKS.c.id.in_([1, 2, 3])))
        with pytest.raises(IntegrityError):
            async with watched.engine.begin() as connection:
                await connection.execute(insert(BOOKS).values(title="secret"))
    written, read, failed, _ = watched.exporter.get_finished_spans()
    attributes = dict(read.attributes or {})
    assert (written.name, read.name) == ("INSERT books", "SELECT books")
    assert attributes["db.system.name"] == "postgresql"
    assert attributes["db.namespace"] == "postgres"
    assert attributes["server.address"] == "127.0.0.1"
    assert attributes["db.query.text"] == "SELECT books.id, books.title FROM books WHERE books.id IN (?)"
    assert (failed.attributes or {})["db.response.status_code"] == "23505"
    assert not any("secret" in f"{span.attributes}{span.events}{span.status.description}" for span in (written, failed))


async def test_an_unreachable_server_leaves_nothing_behind(postgres_server: PostgresServer) -> None:
    url = postgres_server.url("no_such_database")
    engine = create_async_engine(url)
    watched = Watched(engine)
    for _ in range(2):
        with pytest.raises(DBAPIError):
            await engine.connect()
    assert (watched.count("used"), watched.count("idle")) == (0, 0)
    assert watched.value("db_client_connection_pending_requests") == 0
    await engine.dispose()
