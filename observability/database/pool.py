"""Connection pools: connections by state, waits, connects, use and timeouts."""

from contextvars import ContextVar
from functools import partial
from time import perf_counter
from typing import Any, Final
from weakref import WeakSet, ref

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from sqlalchemy import Engine, Pool
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry

from observability.compat.sqlalchemy import Checkout, connection_limit, wrap_checkout, wrap_creator
from observability.core.internal_errors import suppress_internal_errors
from observability.core.labels import POOL_LABEL, ROUTE_LABEL, BoundedValues
from observability.database.holders import HeldSeconds, Holders, Use, use_of_current_request
from observability.database.instrument_engine import Listeners, replace_listeners, sync_engine
from observability.metrics.histogram import exemplar
from observability.request.route import NO_HANDLER
from observability.request.server_timing import add_timing

WAIT_BUCKETS_S: Final = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
USE_BUCKETS_S: Final = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
)  # fmt: skip

_CONNECTING: Final = "observability.connecting"
_IN_USE: Final = "observability.in_use"


class PoolMetrics:
    """Connection pool metrics as the semantic conventions name them; the name of a pool is the role of its engine."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._by_role: dict[str, WeakSet[_InstrumentedPool]] = {}
        counter = partial(Counter, registry=registry)
        gauge = partial(Gauge, registry=registry)
        histogram = partial(Histogram, registry=registry)
        self.count = gauge(
            "db_client_connection_count",
            "Open connections: `used` are checked out, `idle` are checked in.",
            (POOL_LABEL, "db_client_connection_state"),
        )
        self.max = gauge(
            "db_client_connection_max",
            "Connections that the pool allows at once, overflow included; +Inf without a limit.",
            (POOL_LABEL,),
        )
        self.pending = gauge(
            "db_client_connection_pending_requests", "Checkouts waiting for a connection.", (POOL_LABEL,)
        )
        self.timeouts = counter(
            "db_client_connection_timeouts_total", "Checkouts that failed after the pool's timeout.", (POOL_LABEL,)
        )
        self.create_time = histogram(
            "db_client_connection_create_time_seconds",
            "Time to open a new connection.",
            (POOL_LABEL,),
            buckets=WAIT_BUCKETS_S,
        )
        self.wait_time = histogram(
            "db_client_connection_wait_time_seconds",
            "Time that a checkout waited for a connection, also of one that timed out; connecting is not included.",
            (POOL_LABEL,),
            buckets=WAIT_BUCKETS_S,
        )
        self.use_time = histogram(
            "db_client_connection_use_time_seconds",
            "Time from the checkout of a connection to its checkin.",
            (POOL_LABEL, ROUTE_LABEL),
            buckets=USE_BUCKETS_S,
        )
        self._use_times: dict[tuple[str, str], Histogram] = {}
        self._route = BoundedValues()
        self._held = HeldSeconds(registry)
        self._holders: dict[str, Holders] = {}

    def attach(self, pool: str, engine: Engine | AsyncEngine) -> None:
        """Observe the engine's pool under its role `pool`; the gauges add up all pools of a role."""
        pools = self._by_role.get(pool)
        if pools is None:
            pools = self._by_role[pool] = WeakSet()
            self._holders[pool] = self._held.holders(pool, lambda: [use for one in list(pools) for use in one.uses])
            self.use_time_of(pool, NO_HANDLER)
            self.count.labels(pool, "used").set_function(lambda: sum(one.used for one in list(pools)))
            self.count.labels(pool, "idle").set_function(lambda: sum(one.idle for one in list(pools)))
            self.max.labels(pool).set_function(lambda: sum(one.limit for one in list(pools)))
            self.pending.labels(pool).set_function(lambda: sum(one.pending for one in list(pools)))
        pools.add(_InstrumentedPool(pool, sync_engine(engine), self, self._holders[pool]))

    def use_time_of(self, pool: str, handler: str) -> Histogram:
        """Return the histogram of the pool and the route; resolving labels takes longer than observing."""
        key = (pool, handler)
        found = self._use_times.get(key)
        if found is None:
            bounded = (pool, self._route(handler))
            found = self._use_times.setdefault(bounded, self.use_time.labels(*bounded))
        return found


class _Wait:
    """One checkout's wait, which ends when it gets a connection or starts connecting."""

    __slots__ = ("pool", "started")

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.started: float | None = perf_counter()


_current_wait: Final[ContextVar[_Wait | None]] = ContextVar("observability_pool_wait", default=None)


class _InstrumentedPool:
    """The pool of one engine, and those that replace it in `Engine.dispose()`.

    Connections are kept in sets, not counted up and down: the gauges stay right if an event comes twice or never. Only
    the engine's listeners refer to this object, which does not refer to the engine: an engine may live for one request.
    """

    def __init__(self, name: str, engine: Engine, metrics: PoolMetrics, holders: Holders) -> None:
        self._open: WeakSet[ConnectionPoolEntry] = WeakSet()
        self._used: WeakSet[ConnectionPoolEntry] = WeakSet()
        self._pending: set[_Wait] = set()
        self._is_disposed = False
        self._holders = holders
        self._timeouts = metrics.timeouts.labels(name)
        self._create_time = metrics.create_time.labels(name)
        self._wait_time = metrics.wait_time.labels(name)
        self._use_time_of = partial(metrics.use_time_of, name)
        listeners: Listeners = {
            "connect": self._connected,
            "checkout": self._checked_out,
            "checkin": self._checked_in,
            "detach": self._detached,
            "close": self._closed,
            "engine_disposed": self._disposed,
        }
        replace_listeners(engine, "pool", listeners)
        self._wrap(engine.pool)

    @property
    def used(self) -> int:
        return len(self._used)

    @property
    def uses(self) -> list[Use]:
        """The uses of the connections that are checked out."""
        uses = [_info(entry).get(_IN_USE) for entry in list(self._used)]
        return [use for use in uses if use is not None]

    @property
    def idle(self) -> int:
        return max(0, len(self._open) - len(self._used))

    @property
    def pending(self) -> int:
        return len(self._pending)

    @property
    def limit(self) -> float:
        """Connections that the pool allows; 0 after its engine was disposed of, until it is used again."""
        pool = self._pool()
        return 0.0 if pool is None or self._is_disposed else connection_limit(pool)

    def _disposed(self, engine: Engine) -> None:
        self._wrap(engine.pool)
        self._is_disposed = True

    def _wrap(self, pool: Pool) -> None:
        self._pool = ref(pool)
        wrap_checkout(pool, self._check_out)
        wrap_creator(pool, self._connecting)

    def _check_out(self, pool: Pool, checkout: Checkout) -> ConnectionPoolEntry:
        outer = _current_wait.get()
        if outer is not None and outer.pool is pool:  # the pool calls its own method again after losing a race
            return checkout(pool)
        wait = _Wait(pool)
        self._pending.add(wait)
        token = _current_wait.set(wait)
        try:
            return checkout(pool)
        except PoolTimeout as error:
            self._timeouts.inc()
            with suppress_internal_errors("pool"):
                self._holders.name_on(error)
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
        with suppress_internal_errors("pool"):
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
            self._is_disposed = False
            self._open.add(entry)
            self._used.add(entry)
            _info(entry)[_IN_USE] = use_of_current_request()

    def _checked_in(self, dbapi_connection: Any, entry: ConnectionPoolEntry) -> None:  # noqa: ARG002 the same
        with suppress_internal_errors("pool"):
            self._open.add(entry)  # an engine may be observed after its first checkout
            self._used.discard(entry)
            use: Use | None = _info(entry).pop(_IN_USE, None)
            if use is not None:
                handler, seconds = self._holders.returned(use)
                self._use_time_of(handler).observe(seconds, exemplar())

    def _detached(self, dbapi_connection: Any, entry: ConnectionPoolEntry) -> None:
        self._checked_in(dbapi_connection, entry)
        self._closed(dbapi_connection, entry)

    def _closed(self, dbapi_connection: Any, entry: ConnectionPoolEntry) -> None:  # noqa: ARG002 the same
        self._open.discard(entry)


def _info(entry: ConnectionPoolEntry) -> dict[Any, Any]:
    info = entry.record_info
    return info if info is not None else {}
