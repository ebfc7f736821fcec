import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from sqlite3 import connect
from time import perf_counter, sleep
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, NullPool, Pool, QueuePool, SingletonThreadPool, StaticPool

from observability.compat.sqlalchemy import connection_limit
from observability.database.pool import PoolMetrics
from observability.metrics.histogram import exemplar_labels

NAMES = {
    "wait": "db_client_connection_wait_time_seconds",
    "create": "db_client_connection_create_time_seconds",
    "use": "db_client_connection_use_time_seconds",
}


class Watched:
    """The metrics of one engine."""

    def __init__(self, engine: Engine | AsyncEngine, pool: str = "primary") -> None:
        self.registry = CollectorRegistry()
        self.pool = pool
        PoolMetrics(self.registry).attach(pool, engine)

    def count(self, state: str) -> float | None:
        return self.registry.get_sample_value(
            "db_client_connection_count",
            {"db_client_connection_pool_name": self.pool, "db_client_connection_state": state},
        )

    def value(self, name: str) -> float:
        value = self.registry.get_sample_value(
            f"db_client_connection_{name}", {"db_client_connection_pool_name": self.pool}
        )
        assert value is not None
        return value

    def times(self, kind: str) -> float:
        return self._sample(f"{NAMES[kind]}_count")

    def seconds(self, kind: str) -> float:
        return self._sample(f"{NAMES[kind]}_sum")

    def _sample(self, name: str) -> float:
        route = {"http_route": "none"} if NAMES["use"] in name else {}
        value = self.registry.get_sample_value(name, {"db_client_connection_pool_name": self.pool} | route)
        assert value is not None
        return value


@contextmanager
def sync_engine(tmp_path: Path, poolclass: type[Pool] = QueuePool, **options: Any) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{tmp_path / 'db'}", poolclass=poolclass, **options)
    try:
        yield engine
    finally:
        engine.dispose()


@asynccontextmanager
async def async_engine(tmp_path: Path, **options: Any) -> AsyncIterator[AsyncEngine]:
    options = {"poolclass": AsyncAdaptedQueuePool, **options}  # not the default of every SQLAlchemy
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'db'}", **options)
    try:
        yield engine
    finally:
        await engine.dispose()


@pytest.mark.parametrize(
    ("poolclass", "connects", "idle_after"),
    [
        pytest.param(QueuePool, 1, 1, id="QueuePool"),
        pytest.param(NullPool, 3, 0, id="NullPool"),
        pytest.param(StaticPool, 1, 1, id="StaticPool"),
        pytest.param(SingletonThreadPool, 1, 1, id="SingletonThreadPool"),
    ],
)
def test_a_synchronous_pool_is_counted_by_state_and_timed(
    tmp_path: Path, poolclass: type[Pool], connects: int, idle_after: int
) -> None:
    with sync_engine(tmp_path, poolclass) as engine:
        watched = Watched(engine)
        for _ in range(3):
            with engine.connect() as connection:
                connection.execute(text("SELECT 1"))
                assert (watched.count("used"), watched.count("idle")) == (1, 0)
        assert (watched.count("used"), watched.count("idle")) == (0, idle_after)
        assert (watched.times("wait"), watched.times("use"), watched.times("create")) == (3, 3, connects)


@pytest.mark.parametrize(
    ("poolclass", "connects", "idle_after"),
    [
        pytest.param(AsyncAdaptedQueuePool, 1, 1, id="AsyncAdaptedQueuePool"),
        pytest.param(NullPool, 3, 0, id="NullPool"),
        pytest.param(StaticPool, 1, 1, id="StaticPool"),
    ],
)
async def test_an_asynchronous_pool_is_counted_by_state_and_timed(
    tmp_path: Path, poolclass: type[Pool], connects: int, idle_after: int
) -> None:
    async with async_engine(tmp_path, poolclass=poolclass) as engine:
        watched = Watched(engine)
        for _ in range(3):
            async with engine.connect() as connection:
                await connection.execute(text("SELECT 1"))
                assert (watched.count("used"), watched.count("idle")) == (1, 0)
        assert (watched.count("used"), watched.count("idle")) == (0, idle_after)
        assert (watched.times("wait"), watched.times("use"), watched.times("create")) == (3, 3, connects)


@pytest.mark.parametrize("first_back", [0, 1])
def test_a_static_pool_s_shared_connection_is_free_when_its_users_are_gone(tmp_path: Path, first_back: int) -> None:
    with sync_engine(tmp_path, StaticPool) as engine:
        watched = Watched(engine)
        users = [engine.connect(), engine.connect()]
        assert watched.count("used") == 1
        users.pop(first_back).close()
        users.pop().close()
        assert (watched.count("used"), watched.count("idle")) == (0, 1)


@pytest.mark.parametrize(
    ("poolclass", "options", "limit"),
    [
        (QueuePool, {"pool_size": 3, "max_overflow": 2}, 5),
        (QueuePool, {"pool_size": 3, "max_overflow": 0}, 3),
        (QueuePool, {"pool_size": 3, "max_overflow": -1}, float("inf")),
        (QueuePool, {"pool_size": 0}, float("inf")),
        (SingletonThreadPool, {"pool_size": 4}, 4),
        (StaticPool, {}, 1),
        (NullPool, {}, float("inf")),
    ],
)
def test_the_limit_is_what_the_pool_allows(
    tmp_path: Path, poolclass: type[Pool], options: dict[str, int], limit: float
) -> None:
    with sync_engine(tmp_path, poolclass, **options) as engine:
        assert connection_limit(engine.pool) == limit
        assert Watched(engine).value("max") == limit


def test_the_limit_is_real_as_many_checkouts_pass_and_no_more(tmp_path: Path) -> None:
    with sync_engine(tmp_path, pool_size=2, max_overflow=1, pool_timeout=0.01) as engine:
        watched = Watched(engine)
        held = [engine.connect() for _ in range(int(watched.value("max")))]
        with pytest.raises(PoolTimeout):
            engine.connect()
        assert watched.value("timeouts_total") == 1
        for connection in held:
            connection.close()
        assert (watched.count("used"), watched.count("idle")) == (0, 2)


def test_a_checkout_that_waits_is_pending_and_its_wait_is_timed_apart_from_connecting(tmp_path: Path) -> None:
    def slow_connect() -> Any:
        sleep(0.15)
        return connect(tmp_path / "db", check_same_thread=False)

    with sync_engine(tmp_path, pool_size=1, max_overflow=0, creator=slow_connect) as engine:
        watched = Watched(engine)
        began = perf_counter()
        first = engine.connect()
        assert watched.seconds("create") >= 0.15
        assert watched.seconds("create") + watched.seconds("wait") <= perf_counter() - began, "parts of the same time"

        waiting = threading.Thread(target=lambda: engine.connect().close())
        waiting.start()
        while watched.value("pending_requests") != 1:
            assert perf_counter() - began < 30
            sleep(0.005)
        sleep(0.2)
        first.close()
        waiting.join(60)

        assert watched.value("pending_requests") == 0
        assert 0.15 <= watched.seconds("wait") <= perf_counter() - began
        assert (watched.times("wait"), watched.times("create")) == (2, 1)
        assert 0.2 <= watched.seconds("use") <= perf_counter() - began


async def test_asynchronous_checkouts_wait_side_by_side(tmp_path: Path) -> None:
    async with async_engine(tmp_path, pool_size=1, max_overflow=0) as engine:
        watched = Watched(engine)

        is_seen = asyncio.Event()
        began = perf_counter()

        async def hold() -> None:
            async with engine.connect() as connection:
                await connection.execute(text("SELECT 1"))
                await is_seen.wait()
                await asyncio.sleep(0.1)

        tasks = [asyncio.create_task(hold()) for _ in range(4)]
        async with asyncio.timeout(60):
            while (watched.value("pending_requests"), watched.count("used")) != (3, 1):  # noqa: ASYNC110 a gauge wakes nothing
                await asyncio.sleep(0.005)
        is_seen.set()
        await asyncio.gather(*tasks)
        assert (watched.value("pending_requests"), watched.count("used")) == (0, 0)
        waited_s = perf_counter() - began
        assert 0.1 + 0.2 + 0.3 - 0.02 <= watched.seconds("wait") < 3 * waited_s, "three wait, none of them all the time"
        assert watched.times("create") == 1


async def test_cancelled_checkouts_leave_the_gauges_right_and_are_no_timeouts(tmp_path: Path) -> None:
    async with async_engine(tmp_path, pool_size=1, max_overflow=0) as engine:
        watched = Watched(engine)

        async def use() -> None:
            async with engine.connect() as connection:
                await connection.execute(text("SELECT 1"))
                await asyncio.sleep(60)

        holder = asyncio.create_task(use())
        async with asyncio.timeout(60):
            while watched.count("used") != 1:  # noqa: ASYNC110 a gauge wakes nothing
                await asyncio.sleep(0.005)
        waiting = [asyncio.create_task(use()) for _ in range(3)]
        async with asyncio.timeout(60):
            while watched.value("pending_requests") != 3:  # noqa: ASYNC110 a gauge wakes nothing
                await asyncio.sleep(0.005)
        for task in (*waiting, holder):
            task.cancel()
        await asyncio.gather(*waiting, holder, return_exceptions=True)
        assert (watched.value("pending_requests"), watched.count("used")) == (0, 0)
        assert watched.value("timeouts_total") == 0
        assert watched.times("wait") == 4
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))


def test_waits_and_connects_are_still_timed_after_the_engine_was_disposed(tmp_path: Path) -> None:
    with sync_engine(tmp_path) as engine:
        watched = Watched(engine)
        for _ in range(3):
            engine.connect().close()
            engine.dispose()
            assert (watched.count("used"), watched.count("idle")) == (0, 0)
        assert (watched.times("wait"), watched.times("create"), watched.times("use")) == (3, 3, 3)


def test_a_connection_that_outlives_its_pool_is_still_counted_until_it_is_closed(tmp_path: Path) -> None:
    with sync_engine(tmp_path) as engine:
        watched = Watched(engine)
        old = engine.connect()
        engine.dispose()
        with engine.connect():
            assert watched.count("used") == 2
        old.close()
        assert watched.count("used") == 0


@pytest.mark.parametrize("finish", ["invalidate", "detach", "lose"])
def test_a_connection_that_is_not_checked_in_is_no_longer_counted(tmp_path: Path, finish: str) -> None:
    with sync_engine(tmp_path) as engine:
        watched = Watched(engine)
        connection = engine.raw_connection()
        if finish == "invalidate":
            connection.invalidate()
        elif finish == "detach":
            connection.detach()
            connection.close()
        del connection
        gc.collect()
        assert watched.count("used") == 0
        assert watched.times("use") == 1
        engine.connect().close()
        assert (watched.count("used"), watched.count("idle")) == (0, 1)


def test_connects_that_fail_leave_nothing_behind(tmp_path: Path) -> None:
    with sync_engine(tmp_path / "missing") as engine:
        watched = Watched(engine)
        for _ in range(3):
            with pytest.raises(OperationalError):
                engine.connect()
        assert (watched.count("used"), watched.count("idle"), watched.value("pending_requests")) == (0, 0, 0)
        assert (watched.times("wait"), watched.times("create")) == (3, 0)


def test_a_recycled_connection_is_one_more_connect(tmp_path: Path) -> None:
    with sync_engine(tmp_path, pool_recycle=0.2) as engine:
        watched = Watched(engine)
        for _ in range(2):
            engine.connect().close()
            sleep(0.25)
        assert watched.times("create") == 2
        assert (watched.count("used"), watched.count("idle")) == (0, 1)


def test_engines_are_distinguished_by_their_role(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    metrics = PoolMetrics(registry)
    with sync_engine(tmp_path) as primary, sync_engine(tmp_path) as replica:
        metrics.attach("primary", primary)
        metrics.attach("replica", replica)
        with primary.connect(), replica.connect(), replica.connect():
            for pool, used in (("primary", 1), ("replica", 2)):
                labels = {"db_client_connection_pool_name": pool, "db_client_connection_state": "used"}
                assert registry.get_sample_value("db_client_connection_count", labels) == used


@pytest.mark.parametrize("between", [Engine.clear_compiled_cache, Engine.dispose], ids=["same pool", "another pool"])
def test_an_engine_reports_to_the_application_that_was_instrumented_last(
    tmp_path: Path, between: Callable[[Engine], None]
) -> None:
    with sync_engine(tmp_path) as engine:
        earlier = [Watched(engine) for _ in range(1000)]
        between(engine)
        latest = Watched(engine)
        engine.connect().close()
        for kind in NAMES:
            assert earlier[-1].times(kind) == 0
            assert latest.times(kind) == 1


def test_inside_a_sampled_trace_waits_connects_and_uses_carry_its_id(tmp_path: Path) -> None:
    with sync_engine(tmp_path) as engine:
        watched = Watched(engine)
        with TracerProvider().get_tracer("test").start_as_current_span("request") as span:
            engine.connect().close()
        context = span.get_span_context()
        linked = {
            sample.name
            for family in watched.registry.collect()
            for sample in family.samples
            if sample.exemplar and sample.exemplar.labels == exemplar_labels(context.trace_id, context.span_id)
        }
        assert linked == {f"{name}_bucket" for name in NAMES.values()}
