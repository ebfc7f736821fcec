"""The routes that hold a pool's connections: their metric, and their names on the error and in the log."""

import asyncio
import gc
from random import Random
from time import perf_counter
from typing import Any

import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, QueuePool

from observability.database import holders as module
from observability.database.holders import HeldSeconds, Holders, Use
from observability.database.pool import PoolMetrics
from observability.request.record import RequestRecord, current_request
from observability.request.route_table import RouteTable
from observability.testing import capture_telemetry, lifespan_client

NAME = "db_client_connection_held_seconds_total"


def use(route: str | None, *, held_s: float) -> Use:
    """A checkout of a request to this route, or outside of requests, so many seconds ago."""
    record = None
    if route is not None:
        record = RequestRecord({"type": "http", "path": route, "headers": []}, RouteTable(FastAPI()))
        record.route = route
    return Use(perf_counter() - held_s, record)


def note(holders: Holders) -> str:
    error = PoolTimeout()
    holders.name_on(error)
    return error.__notes__[0]


NAMED = {
    "the longest": ({"/a": 1.0}, {}, "held most by /a (1.0 s)"),
    "three of them, in order": (
        {"/a": 1.0, "/b": 4.0, "/c": 2.0, "/d": 3.0},
        {},
        "held most by /b (4.0 s), /d (3.0 s), /c (2.0 s)",
    ),
    "what is still checked out counts": ({"/a": 1.0}, {"/b": 5.0}, "held most by /b (5.0 s), /a (1.0 s)"),
    "both are added up": ({"/a": 1.0, "/b": 1.5}, {"/a": 1.0}, "held most by /a (2.0 s), /b (1.5 s)"),
    "work outside of requests": ({}, {None: 2.0}, "held most by none (2.0 s)"),
}


@pytest.mark.parametrize(("returned", "in_use", "expected"), NAMED.values(), ids=NAMED)
def test_an_error_names_the_three_routes_that_held_most(
    returned: dict[str, float], in_use: dict[str | None, float], expected: str
) -> None:
    holders = Holders("primary", lambda: [use(route, held_s=seconds) for route, seconds in in_use.items()])
    for route, seconds in returned.items():
        holders.returned(use(route, held_s=seconds))
    assert note(holders) == expected


def test_an_error_names_no_route_while_the_pool_is_still_connecting() -> None:
    error = PoolTimeout()
    Holders("primary", list).name_on(error)
    assert not hasattr(error, "__notes__")


@pytest.mark.parametrize("seed", range(10))
def test_an_exhausted_pool_names_the_route_that_holds_it_whatever_the_schedule(seed: int) -> None:
    """Random requests to five routes on ten connections, one of which holds its own ten times longer."""
    random, registry = Random(seed), CollectorRegistry()
    engine = create_engine("sqlite://", poolclass=QueuePool, pool_size=10, max_overflow=0, pool_timeout=0)
    PoolMetrics(registry).attach("primary", engine)
    culprit, now = "/reports", 1000.0
    routes = ["/board", "/flights", "/airports", "/search", culprit]
    returned = dict.fromkeys(routes, 0.0)
    held: list[tuple[float, float, str, Connection]] = []
    named, most = [], []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "perf_counter", lambda: now)
        for _ in range(600):
            now += random.expovariate(20)
            for one in [one for one in held if one[0] <= now]:
                held.remove(one)
                _, began, route, connection = one
                connection.close()
                returned[route] += now - began
            route = random.choice(routes)
            token = current_request.set(use(route, held_s=0).request)
            try:
                connection = engine.connect()
            except PoolTimeout as error:
                named.append(error.__notes__[0].split()[3])
                in_use = {one: sum(now - began for _, began, other, _ in held if other == one) for one in routes}
                most.append(max(routes, key=lambda one: returned[one] + in_use[one]))
            else:
                held.append((now + random.expovariate(0.2 if route == culprit else 2), now, route, connection))
            finally:
                current_request.reset(token)
        for _, began, route, connection in held:
            connection.close()
            returned[route] += now - began
    engine.dispose()
    assert len(named) > 20
    assert named == most
    assert set(named[-10:]) == {culprit}
    name, pool = "db_client_connection_use_time_seconds_sum", {"db_client_connection_pool_name": "primary"}
    used = {route: registry.get_sample_value(name, pool | {"http_route": route}) for route in routes}
    assert used == pytest.approx(returned)


def test_routes_beyond_a_hundred_are_one_value_of_the_use_time() -> None:
    registry = CollectorRegistry()
    engine = create_engine("sqlite://", poolclass=QueuePool)
    PoolMetrics(registry).attach("primary", engine)
    for number in range(102):
        token = current_request.set(use(f"/{number}", held_s=0).request)
        engine.connect().close()
        current_request.reset(token)
    engine.dispose()
    labels = {"db_client_connection_pool_name": "primary", "http_route": "other"}
    assert registry.get_sample_value("db_client_connection_use_time_seconds_count", labels) == 3


@pytest.mark.parametrize(("periods", "is_named"), [(0.5, True), (1.5, True), (2.5, False)])
def test_an_error_names_what_was_held_recently(periods: float, is_named: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(module, "perf_counter", lambda: now)
    holders = Holders("primary", lambda: [Use(now, None)])
    holders.returned(Use(now - 9, use("/before", held_s=0).request))
    now += periods * module.RECENT_S
    assert ("/before" in note(holders)) is is_named
    assert holders.seconds()["/before"] == 9


def test_the_counter_never_falls_when_a_connection_is_returned() -> None:
    registry = CollectorRegistry()
    uses = [use("/a", held_s=3.0)]
    holders = HeldSeconds(registry).holders("primary", lambda: uses)
    labels = {"db_client_connection_pool_name": "primary", "handler": "/a"}
    before = registry.get_sample_value(NAME, labels) or 0.0
    holders.returned(uses.pop())
    after = registry.get_sample_value(NAME, labels) or 0.0
    assert 3.0 <= before <= after < 4.0


@pytest.mark.anyio
async def test_requests_without_a_connection_name_the_route_that_holds_it(tmp_path: Any) -> None:
    engine = create_async_engine(
        f"sqlite+aiosqlite:///{tmp_path / 'db'}",
        poolclass=AsyncAdaptedQueuePool,
        pool_size=1,
        max_overflow=0,
        pool_timeout=0.05,
    )
    app = FastAPI()
    held, release = asyncio.Event(), asyncio.Event()

    @app.get("/reports/{name}")
    async def report(name: str) -> str:
        async with engine.connect():
            held.set()
            await release.wait()
        return name

    @app.get("/list")
    async def flights() -> list[str]:
        try:
            async with engine.connect() as connection:
                await connection.execute(text("SELECT 1"))
        except PoolTimeout as error:
            return error.__notes__
        return []

    with capture_telemetry() as captured:
        captured.instrument(app, engines={"primary": engine})
        async with lifespan_client(app) as client, asyncio.TaskGroup() as group:
            group.create_task(client.get("/reports/delays"))
            await held.wait()
            notes = [(await client.get("/list")).json() for _ in range(2)]
            held_s = captured.value(NAME, handler="/reports/{name}")
            release.set()
        logged = [one for one in captured.logs() if one["logger"] == "observability.database.pool"]
        assert captured.value(NAME, handler="/reports/{name}", db_client_connection_pool_name="primary") >= held_s > 0
    await engine.dispose()
    gc.collect()
    assert [[one.partition(" (")[0] for one in those] for those in notes] == [["held most by /reports/{name}"]] * 2
    (record,) = logged  # the second one within ten seconds is not logged
    assert "the pool primary became free: held most by /reports/{name} (" in record["message"]
    assert list(record["held_s"]) == ["/reports/{name}"]
