"""Full scans of slow statements that an index would save."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import pytest
from fastapi import FastAPI
from sqlalchemy import URL, Connection, Engine, create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from observability.core.internal_errors import internal_error_count, raise_internal_errors
from observability.testing import CapturedTelemetry, capture_telemetry, lifespan_client
from observability.whatif import plans
from observability.whatif.plans import FullScan, full_scan

SECRET: Final = "hunter2-secret"
ROWS: Final = 20_000
PER_CUSTOMER: Final = 20
SQLITE_ROWS: Final = f"WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < {ROWS})"  # noqa: S608 a number
POSTGRESQL_ROWS: Final = f"WITH n AS (SELECT generate_series(1, {ROWS}) AS id)"
CUSTOMERS: Final = ROWS // PER_CUSTOMER
TABLES: Final = (
    "CREATE TABLE parcels (id integer PRIMARY KEY, customer integer, status integer)",
    "CREATE TABLE states (id integer PRIMARY KEY, name varchar)",
    f"INSERT INTO parcels (id, customer, status) {{rows}} SELECT id, id % {CUSTOMERS}, id % 2 FROM n",  # noqa: S608 a number
    "INSERT INTO states (id, name) VALUES (0, 'open'), (1, 'delivered')",
    "ANALYZE",
)
BY_CUSTOMER: Final = "SELECT id, status FROM parcels WHERE customer = :value"
WASTEFUL: Final = {
    "few rows of many": (BY_CUSTOMER, PER_CUSTOMER),
    "under an alias": ("SELECT p.id FROM parcels AS p WHERE p.customer = :value", PER_CUSTOMER),
    "the first rows of all, sorted": ("SELECT id FROM parcels WHERE status >= :value ORDER BY customer LIMIT 7", 7),
}
JUSTIFIED: Final = {
    "by the primary key": "SELECT id FROM parcels WHERE id = :value",
    "most rows": "SELECT id, customer FROM parcels WHERE status < 1 + :value",
    "a scan that a limit ends": "SELECT id, customer FROM parcels WHERE customer > -1 - :value LIMIT 5",
    "a small table": "SELECT name FROM states WHERE name = 'open' AND id > -1 - :value",
    "no table": "SELECT 1 + :value",
}


@pytest.fixture
def captured(monkeypatch: pytest.MonkeyPatch) -> Iterator[CapturedTelemetry]:
    monkeypatch.setattr(plans, "SLOW_S", 0.0)
    with capture_telemetry() as telemetry:
        yield telemetry


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{tmp_path / 'parcels.db'}", pool_size=1, max_overflow=0)
    with engine.begin() as connection:
        for statement in TABLES:
            connection.exec_driver_sql(statement.format(rows=SQLITE_ROWS))
    yield engine
    engine.dispose()


@pytest.fixture
async def postgresql(postgres_url: URL) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(postgres_url, pool_size=1, max_overflow=0)
    async with engine.begin() as connection:
        for statement in TABLES:
            await connection.exec_driver_sql(statement.format(rows=POSTGRESQL_ROWS))
    yield engine
    await engine.dispose()


def explained(connection: Connection, statement: str) -> FullScan | None:
    """Explain a statement as it is executed."""
    compiled = text(statement).bindparams(value=0).compile(dialect=connection.dialect)
    parameters = tuple(compiled.params.values()) if compiled.positional else compiled.params
    return full_scan(connection, str(compiled), parameters)


@pytest.mark.parametrize(("statement", "returned"), WASTEFUL.values(), ids=WASTEFUL)
def test_sqlite_scans_a_whole_table_for_few_rows(sqlite: Engine, statement: str, returned: int) -> None:
    with sqlite.connect() as connection:
        assert explained(connection, statement) == FullScan(
            table="parcels", read_rows=ROWS, returned_rows=returned, cost_share=1.0
        )


@pytest.mark.parametrize("statement", JUSTIFIED.values(), ids=JUSTIFIED)
def test_sqlite_has_no_scan_that_an_index_would_save(sqlite: Engine, statement: str) -> None:
    with sqlite.connect() as connection:
        assert explained(connection, statement) is None


@pytest.mark.anyio
@pytest.mark.server("postgresql")
async def test_postgresql_scans_a_whole_table_for_few_rows(postgresql: AsyncEngine) -> None:
    async with postgresql.connect() as connection:
        for name, (statement, returned) in WASTEFUL.items():
            scan = await connection.run_sync(explained, statement)
            assert scan is not None, name
            assert scan.table == "parcels", name
            assert scan.read_rows == pytest.approx(ROWS, rel=0.02), name
            assert scan.returned_rows == pytest.approx(returned, rel=0.5), name
            assert scan.saved_share > 0.5, name
        for name, statement in JUSTIFIED.items():
            assert await connection.run_sync(explained, statement) is None, name


def parcel_service(engine: Engine | AsyncEngine) -> FastAPI:
    app = FastAPI()

    if isinstance(engine, AsyncEngine):

        @app.get("/parcels/{customer}")
        async def parcels_on_the_loop(customer: int) -> int:
            async with engine.connect() as connection:
                return len((await connection.execute(text(BY_CUSTOMER), {"value": customer})).all())

    else:

        @app.get("/parcels/{customer}")
        def parcels(customer: int) -> int:
            with engine.connect() as connection:
                return len(connection.execute(text(BY_CUSTOMER), {"value": customer}).all())

    return app


async def requested_until_explained(app: FastAPI, captured: CapturedTelemetry) -> None:
    """Send requests until the plan is known, then two more."""
    async with lifespan_client(app) as client:
        async with asyncio.timeout(60):
            while not captured.value("whatif_explained_queries_total"):
                assert (await client.get("/parcels/7")).json() == PER_CUSTOMER
        for customer in (8, 9):
            assert (await client.get(f"/parcels/{customer}")).json() == PER_CUSTOMER


def check_metrics(captured: CapturedTelemetry) -> None:
    labels = {"handler": "/parcels/{customer}", "table": "parcels"}
    counted = {
        name: captured.value(f"whatif_full_scan_{name}_total", **labels)
        for name in ("queries", "seconds", "saved_seconds", "read_rows", "returned_rows")
    }
    assert captured.value("whatif_explained_queries_total") == 1, "once an hour"
    assert counted["queries"] >= 2
    assert counted["read_rows"] == pytest.approx(ROWS * counted["queries"], rel=0.02)
    assert counted["returned_rows"] == pytest.approx(PER_CUSTOMER * counted["queries"], rel=0.5)
    assert 0.5 * counted["seconds"] < counted["saved_seconds"] <= counted["seconds"]


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["given", "auto"])
async def test_requests_are_counted_by_the_tables_that_they_scan(
    captured: CapturedTelemetry, sqlite: Engine, kind: str
) -> None:
    app = parcel_service(sqlite)
    captured.instrument(app, engines="auto" if kind == "auto" else {"primary": sqlite}, whatif=True, explain=True)
    await requested_until_explained(app, captured)
    check_metrics(captured)


@pytest.mark.anyio
@pytest.mark.server("postgresql")
async def test_statements_on_the_event_loop_are_explained_too(
    captured: CapturedTelemetry, postgresql: AsyncEngine
) -> None:
    app = parcel_service(postgresql)
    captured.instrument(app, engines={"primary": postgresql}, whatif=True, explain=True)
    await requested_until_explained(app, captured)
    check_metrics(captured)


@pytest.mark.anyio
async def test_without_the_setting_nothing_is_explained(captured: CapturedTelemetry, sqlite: Engine) -> None:
    app = parcel_service(sqlite)
    telemetry = captured.instrument(app, engines={"primary": sqlite}, whatif=True)
    async with lifespan_client(app) as client:
        assert (await client.get("/parcels/7")).json() == PER_CUSTOMER
    assert telemetry.whatif is not None
    assert telemetry.whatif.plans is None
    families = {family.name: family.samples for family in telemetry.registry.collect()}
    assert families["whatif_explained_queries"] == [], "as if there were none to explain"


@pytest.mark.anyio
async def test_a_plan_that_cannot_be_had_is_not_waited_for_and_no_value_is_logged(
    captured: CapturedTelemetry, sqlite: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise OperationalError("SELECT 7", (SECRET,), ValueError(SECRET))

    app = parcel_service(sqlite)
    telemetry = captured.instrument(app, engines={"primary": sqlite}, whatif=True, explain=True)
    assert telemetry.whatif is not None
    assert telemetry.whatif.plans is not None
    monkeypatch.setattr("observability.core.internal_errors._internal_errors.counts", {})  # the first one is logged
    before = internal_error_count("whatif")
    with monkeypatch.context() as patched, raise_internal_errors(False):
        patched.setattr(plans, "full_scan", fail)
        async with lifespan_client(app) as client, asyncio.timeout(60):
            while internal_error_count("whatif") == before:
                assert (await client.get("/parcels/7")).json() == PER_CUSTOMER
    assert "sqlite returned no plan: ValueError" in caplog.text
    assert SECRET not in caplog.text
    telemetry.whatif.plans._due_s.clear()
    await requested_until_explained(app, captured)
    check_metrics(captured)
