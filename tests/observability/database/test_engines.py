"""Engines that are made after `instrument()`, by any number, and all of a process."""

import gc
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from observability.core.attached import AlreadyAttached
from observability.core.settings import TelemetrySettings
from observability.telemetry import ProcessTelemetry, Telemetry
from observability.testing import capture_telemetry, lifespan_client

Watch = Callable[[Telemetry, Any], None]


def sqlite(path: Path, name: str) -> AsyncEngine:
    return create_async_engine(f"sqlite+aiosqlite:///{path / name}.db", poolclass=AsyncAdaptedQueuePool)


@pytest.mark.parametrize(
    ("engines", "watch", "pool"),
    [
        pytest.param({}, lambda telemetry, engine: telemetry.watch_engine(engine), "primary", id="watched"),
        pytest.param("auto", lambda *_: None, "shop.db", id="auto"),
        pytest.param("auto", lambda telemetry, engine: telemetry.watch_engine(engine), "primary", id="both"),
    ],
)
async def test_an_engine_of_the_lifespan_is_observed_in_each_lifespan(
    tmp_path: Path, engines: Any, watch: Watch, pool: str
) -> None:
    with capture_telemetry() as captured:

        @asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncIterator[None]:
            app.state.engine = sqlite(tmp_path, "shop")
            watch(telemetry, app.state.engine)
            yield
            await app.state.engine.dispose()

        app = FastAPI(lifespan=lifespan)

        @app.get("/books")
        async def books() -> int:
            async with app.state.engine.connect() as connection:
                assert captured.value("db_client_connection_max", db_client_connection_pool_name=pool) == 15
                return int((await connection.execute(text("SELECT 7"))).scalar_one())

        telemetry = captured.instrument(app, engines=engines)
        for lifespans in (1, 2):
            async with lifespan_client(app) as client:
                assert (await client.get("/books")).json() == 7
            assert captured.value("db_queries_per_request_sum", handler="/books") == lifespans
            assert (
                captured.value("db_client_operation_duration_seconds_count", db_client_connection_pool_name=pool)
                == lifespans
            )
            assert captured.value("db_client_connection_max", db_client_connection_pool_name=pool) == 0
    assert [span.name for span in captured.spans()].count("SELECT") == 2


async def test_an_engine_made_for_one_request_is_observed_and_not_kept(tmp_path: Path) -> None:
    alive: list[weakref.ref[Engine]] = []
    with capture_telemetry() as captured:
        app = FastAPI()

        @app.get("/books")
        async def books() -> None:
            engine = sqlite(tmp_path, "shop")
            telemetry.watch_engine(engine)
            alive.append(weakref.ref(engine.sync_engine))
            async with engine.connect() as connection:
                await connection.execute(text("SELECT 1"))
            await engine.dispose()

        telemetry = captured.instrument(app)
        async with lifespan_client(app) as client:
            for _ in range(3):
                await client.get("/books")
    gc.collect()
    assert captured.value("db_queries_per_request_sum", handler="/books") == 3
    assert [ref() for ref in alive] == [None] * 3


async def test_every_engine_of_the_process_has_the_name_of_its_database(tmp_path: Path) -> None:
    early, late = sqlite(tmp_path, "early"), create_engine("sqlite://")
    with capture_telemetry() as captured:
        app = FastAPI()
        captured.instrument(app, engines="auto")
        async with lifespan_client(app):
            async with early.connect() as connection:
                await connection.execute(text("SELECT 1"))
            with late.execution_options(isolation_level="AUTOCOMMIT").connect() as shared, late.connect() as own:
                for one in (shared, own):
                    one.execute(text("SELECT 1"))
        with late.connect() as unobserved:
            unobserved.execute(text("SELECT 1"))
        counted = {
            sample.labels["db_client_connection_pool_name"]: sample.value
            for sample in captured.samples("db_client_operation_duration_seconds_count")
        }
    await early.dispose()
    late.dispose()
    assert counted == {"early.db": 1, "sqlite": 3}


def test_engines_of_one_role_are_added_up_without_those_that_were_disposed_of(tmp_path: Path) -> None:
    telemetry = Telemetry(registry=CollectorRegistry(), settings=TelemetrySettings(metrics_exporter="none"))
    engines = [create_engine(f"sqlite:///{tmp_path}/{number}.db", pool_size=2, max_overflow=0) for number in range(3)]

    def value(state: str) -> float | None:
        return telemetry.registry.get_sample_value(
            "db_client_connection_count",
            {"db_client_connection_pool_name": "shard", "db_client_connection_state": state},
        )

    for engine in engines:
        telemetry.watch_engine(engine, "shard")
        telemetry.watch_engine(engine, "shard")  # changes nothing
    with engines[0].connect(), engines[1].connect():
        assert (value("used"), value("idle")) == (2, 0)
    assert (value("used"), value("idle")) == (0, 2)
    engines[0].dispose()
    assert (
        telemetry.registry.get_sample_value("db_client_connection_max", {"db_client_connection_pool_name": "shard"})
        == 4
    )
    with pytest.raises(AlreadyAttached, match="'replica' is already attached as 'shard'"):
        telemetry.watch_engine(engines[0], "replica")
    for engine in engines:
        engine.dispose()


def test_all_engines_are_observed_while_telemetry_runs_only(tmp_path: Path) -> None:
    telemetry = ProcessTelemetry(
        registry=CollectorRegistry(),
        settings=TelemetrySettings(metrics_exporter="none", log_format="none"),
        title="",
        saturation=_NoSaturation(),
    )
    engine = create_engine(f"sqlite:///{tmp_path}/a.db")
    for starts in (False, True):
        if starts:
            telemetry.start()
        telemetry.watch_engines("auto")
        engine.connect().close()
        pools = telemetry.registry.get_sample_value(
            "db_client_connection_max", {"db_client_connection_pool_name": "a.db"}
        )
        assert pools == (15 if starts else None)
    telemetry.stop()
    engine.dispose()


class _NoSaturation:
    def start(self) -> None: ...
    def stop(self) -> None: ...
