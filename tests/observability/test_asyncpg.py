"""Statements of asyncpg without SQLAlchemy, on a real PostgreSQL, counted for their request."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
from fastapi import FastAPI
from opentelemetry.sdk.trace import ReadableSpan

from observability.testing import CapturedTelemetry, capture_telemetry, lifespan_client
from tests.servers.postgres import PostgresServer

pytestmark = [pytest.mark.server("postgresql"), pytest.mark.anyio]

Use = Callable[[Any], Awaitable[object]]


async def several(pool: Any) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("CREATE TEMP TABLE book (id int) ON COMMIT DROP")
        await connection.execute("INSERT INTO book VALUES (1)")
        await connection.fetch("SELECT * FROM book")


USES: dict[str, tuple[Use, list[str]]] = {
    "fetch": (lambda pool: pool.fetch("SELECT $1::int", 7), ["SELECT"]),
    "fetchval": (lambda pool: pool.fetchval("SELECT 1"), ["SELECT"]),
    "fetchrow": (lambda pool: pool.fetchrow("SELECT 1"), ["SELECT"]),
    "execute": (lambda pool: pool.execute("CREATE TEMP TABLE a (id int)"), ["CREATE"]),
    "executemany": (lambda pool: pool.executemany("SELECT $1::int", iter([(1,), (2,)])), ["SELECT"]),
    "a connection of the pool": (several, ["CREATE", "INSERT", "SELECT"]),
}


@asynccontextmanager
async def application(server: PostgresServer, use: Use) -> AsyncIterator[tuple[CapturedTelemetry, Any]]:
    app = FastAPI()
    url = server.url("postgres").set(drivername="postgresql").render_as_string(hide_password=False)
    with capture_telemetry() as captured:
        telemetry = captured.instrument(app)
        connection_class = telemetry.asyncpg_connection("books")
        async with asyncpg.create_pool(url, connection_class=connection_class, min_size=1, max_size=1) as pool:

            @app.get("/books")
            async def books() -> None:
                await use(pool)

            async with lifespan_client(app) as client:
                yield captured, client


@pytest.mark.parametrize("kind", USES)
async def test_the_statements_of_a_request_are_counted_and_traced(kind: str, postgres_server: PostgresServer) -> None:
    use, operations = USES[kind]
    async with application(postgres_server, use) as (captured, client):
        assert (await client.get("/books")).status_code == 200
        statements = captured.value("db_queries_per_request_sum", handler="/books")
        named: list[ReadableSpan] = [span for span in captured.spans() if "db.query.text" in (span.attributes or {})]
        assert (
            statements
            == len(named)
            == captured.value("db_client_operation_duration_seconds_count", db_client_connection_pool_name="books")
        )
        found = [str((span.attributes or {})["db.operation.name"]) for span in named]
        assert found == operations


async def test_a_statement_that_fails_is_counted_with_its_error(postgres_server: PostgresServer) -> None:
    async with application(postgres_server, lambda pool: pool.fetch("SELECT * FROM nothing")) as (captured, client):
        assert (await client.get("/books")).status_code == 500
        assert captured.value("db_client_operation_errors_total", error="UndefinedTableError") == 1
        assert captured.value("db_queries_per_request_sum", handler="/books") == 1
