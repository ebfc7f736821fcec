"""How close a connection pool is to its limit: connections by state, waits, connects, use and timeouts.

SQLAlchemy has events for everything but the wait. The wait is the time inside `Pool._do_get`, until a connection came
back or connecting began, so that method and the creator are wrapped on the pool object, again after each
`Engine.dispose()`, which replaces the pool. No class is patched.
"""

from collections.abc import Callable
from contextvars import ContextVar
from time import perf_counter
from typing import Any, Final
from weakref import WeakSet, ref

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from sqlalchemy import AssertionPool, Engine, Pool, QueuePool, SingletonThreadPool, StaticPool
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry

from observability.core.internal_errors import suppress_internal_errors
from observability.database.instrument_engine import AlreadyAttached, Listeners, listen, sync_engine
from observability.metrics.histogram import exemplar
from observability.request.server_timing import add_timing

WAIT_BUCKETS_S: Final = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
USE_BUCKETS_S: Final = (
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
)

_CONNECTING: Final = "observability.connecting"
_IN_USE: Final = "observability.in_use"
_UNTIMED: Final = "observability_untimed"
"""Where a timed creator keeps the pool's own one, for the next watcher of the same pool."""


class PoolMetrics:
    """Connection pool metrics in the words of the semantic conventions; `pool` is the role of the engine."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._attached: dict[Engine, str] = {}
        self.count = Gauge(
            "db_client_connection_count",
            "Open connections: `used` are checked out, `idle` wait in the pool.",
            ("pool", "state"),
            registry=registry,
        )
        self.max = Gauge(
            "db_client_connection_max",
            "Connections that the pool allows at once, overflow included; +Inf without a limit.",
            ("pool",),
            registry=registry,
        )
        self.pending = Gauge(
            "db_client_connection_pending_requests", "Checkouts waiting for a connection.", ("pool",), registry=registry
        )
        self.timeouts = Counter(
            "db_client_connection_timeouts_total",
            "Checkouts that gave up after the pool's timeout.",
            ("pool",),
            registry=registry,
        )
        self.create_time = Histogram(
            "db_client_connection_create_time_seconds",
            "Time that opening a new connection took.",
            ("pool",),
            buckets=WAIT_BUCKETS_S,
            registry=registry,
        )
        self.wait_time = Histogram(
            "db_client_connection_wait_time_seconds",
            "Time that a checkout waited for a connection, whether it got one or gave up; connecting is not in it.",
            ("pool",),
            buckets=WAIT_BUCKETS_S,
            registry=registry,
        )
        self.use_time = Histogram(
            "db_client_connection_use_time_seconds",
            "Time between taking a connection from the pool and giving it back.",
            ("pool",),
            buckets=USE_BUCKETS_S,
            registry=registry,
        )

    def attach(self, pool: str, engine: Engine | AsyncEngine) -> None:
        """Watch the engine's pool under the label `pool`, its role; raise `AlreadyAttached` the second time."""
        engine = sync_engine(engine)
        if engine in self._attached:
            raise AlreadyAttached(pool, self._attached[engine])
        self._attached[engine] = pool
        _WatchedPool(pool, engine, self)


def connection_limit(pool: Pool) -> float:
    """Return how many connections the pool allows at once; infinity without a limit."""
    if isinstance(pool, QueuePool):
        overflow = pool._max_overflow  # noqa: SLF001 the limit has no public name
        return pool.size() + overflow if overflow >= 0 else float("inf")
    if isinstance(pool, SingletonThreadPool):
        return pool.size
    return 1.0 if isinstance(pool, StaticPool | AssertionPool) else float("inf")


class _Wait:
    """One checkout's wait, which ends when a connection is there or connecting begins."""

    __slots__ = ("pool", "started")

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.started: float | None = perf_counter()


_current_wait: Final[ContextVar[_Wait | None]] = ContextVar("observability_pool_wait", default=None)


class _WatchedPool:
    """The pool of one engine, across the pools that `Engine.dispose()` replaces it by.

    Connections are kept in sets, not counted up and down: an event that comes twice or never leaves the gauges right.
    """

    def __init__(self, name: str, engine: Engine, metrics: PoolMetrics) -> None:
        self._open: WeakSet[ConnectionPoolEntry] = WeakSet()
        self._used: WeakSet[ConnectionPoolEntry] = WeakSet()
        self._pending: set[_Wait] = set()
        self._timeouts = metrics.timeouts.labels(name)
        self._create_time = metrics.create_time.labels(name)
        self._wait_time = metrics.wait_time.labels(name)
        self._use_time = metrics.use_time.labels(name)
        metrics.count.labels(name, "used").set_function(lambda: len(self._used))
        metrics.count.labels(name, "idle").set_function(lambda: max(0, len(self._open) - len(self._used)))
        metrics.max.labels(name).set_function(lambda: connection_limit(engine.pool))
        metrics.pending.labels(name).set_function(lambda: len(self._pending))
        listeners: Listeners = {
            "connect": self._connected,
            "checkout": self._checked_out,
            "checkin": self._checked_in,
            "detach": self._detached,
            "close": self._closed,
            "engine_disposed": self._wrap,
        }
        listen(engine, "pool", listeners)
        self._wrap(engine)

    def _wrap(self, engine: Engine) -> None:
        """Time the waits and connects of the engine's present pool."""
        pool, this = engine.pool, ref(engine.pool)  # a reference to itself would keep a disposed pool alive
        take: Callable[[Pool], ConnectionPoolEntry] = type(pool)._do_get  # noqa: SLF001 no public hook sees a wait
        create = pool._invoke_creator  # noqa: SLF001 `do_connect` is not sent where the application has its own creator
        create = getattr(create, _UNTIMED, create)

        def timed_take() -> ConnectionPoolEntry:
            watched = this()
            assert watched is not None, "a method of the pool runs"  # noqa: S101 for the type checker
            return self._timed(watched, take)

        def timed_create(rec: ConnectionPoolEntry) -> Any:
            with suppress_internal_errors("pool"):
                self._connecting(rec)
            return create(rec)

        setattr(timed_create, _UNTIMED, create)
        pool._do_get = timed_take  # type: ignore[method-assign]  # noqa: SLF001 on this object alone
        pool._invoke_creator = timed_create  # noqa: SLF001 the same

    def _timed(self, pool: Pool, take: Callable[[Pool], ConnectionPoolEntry]) -> ConnectionPoolEntry:
        outer = _current_wait.get()
        if outer is not None and outer.pool is pool:  # the pool calls its own method again when it lost a race
            return take(pool)
        wait = _Wait(pool)
        self._pending.add(wait)
        token = _current_wait.set(wait)
        try:
            return take(pool)
        except PoolTimeout:
            self._timeouts.inc()
            raise
        finally:
            _current_wait.reset(token)
            with suppress_internal_errors("pool"):
                self._waited(wait)

    def _waited(self, wait: _Wait) -> None:
        self._pending.discard(wait)
        if wait.started is None:
            return
        seconds = perf_counter() - wait.started
        wait.started = None
        self._wait_time.observe(seconds, exemplar())
        add_timing("db", seconds)

    def _connecting(self, entry: ConnectionPoolEntry) -> None:
        wait = _current_wait.get()
        if wait is not None:
            self._waited(wait)
        _info(entry)[_CONNECTING] = perf_counter()

    def _connected(self, dbapi_connection: Any, entry: ConnectionPoolEntry) -> None:  # noqa: ARG002 SQLAlchemy's signature
        with suppress_internal_errors("pool"):
            self._open.add(entry)
            started = _info(entry).pop(_CONNECTING, None)
            if started is not None:
                seconds = perf_counter() - started
                self._create_time.observe(seconds, exemplar())
                add_timing("db", seconds)

    def _checked_out(self, dbapi_connection: Any, entry: ConnectionPoolEntry, proxy: Any) -> None:  # noqa: ARG002 the same
        with suppress_internal_errors("pool"):
            self._open.add(entry)
            self._used.add(entry)
            _info(entry)[_IN_USE] = perf_counter()

    def _checked_in(self, dbapi_connection: Any, entry: ConnectionPoolEntry) -> None:  # noqa: ARG002 the same
        with suppress_internal_errors("pool"):
            self._used.discard(entry)
            started = _info(entry).pop(_IN_USE, None)
            if started is not None:
                self._use_time.observe(perf_counter() - started, exemplar())

    def _detached(self, dbapi_connection: Any, entry: ConnectionPoolEntry) -> None:
        self._checked_in(dbapi_connection, entry)
        self._closed(dbapi_connection, entry)

    def _closed(self, dbapi_connection: Any, entry: ConnectionPoolEntry) -> None:  # noqa: ARG002 the same
        self._open.discard(entry)


def _info(entry: ConnectionPoolEntry) -> dict[Any, Any]:
    """Return the dictionary that lives as long as the place in the pool."""
    info = entry.record_info
    return info if info is not None else {}
