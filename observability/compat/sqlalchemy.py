"""SQLAlchemy: the size, the waits and the connects of a connection pool, and the engine behind options.

SQLAlchemy has events for everything about a pool but the wait for a connection, which is the time inside
`Pool._do_get` until a connection was returned or connecting began. The methods are wrapped on the pool object; no class
is patched.
"""

from collections.abc import Callable
from typing import Any, Final
from weakref import ref

from sqlalchemy import Engine
from sqlalchemy.pool import (
    AssertionPool,
    ConnectionPoolEntry,
    Pool,
    QueuePool,
    SingletonThreadPool,
    StaticPool,
)

Checkout = Callable[[Pool], ConnectionPoolEntry]

_UNWRAPPED: Final = "observability_unwrapped"
"""Where a wrapper keeps the pool's own creator, for the next instrumentation of the same pool."""


def without_options(engine: Engine) -> Engine:
    """Return the engine whose `execution_options()` made this one; without `_proxied` each counts as one of its own."""
    while (proxied := getattr(engine, "_proxied", None)) is not None:
        engine = proxied
    return engine


def connection_limit(pool: Pool) -> float:
    """Return how many connections the pool allows at once: infinity without a limit, NaN if it cannot be known."""
    if isinstance(pool, QueuePool):
        overflow = getattr(pool, "_max_overflow", float("nan"))
        return float("inf") if overflow < 0 else pool.size() + overflow
    if isinstance(pool, SingletonThreadPool):
        return pool.size
    return 1.0 if isinstance(pool, StaticPool | AssertionPool) else float("inf")


def wrap_checkout(pool: Any, around: Callable[[Pool, Checkout], ConnectionPoolEntry]) -> None:
    """Let `around(pool, checkout)` call each checkout; without `_do_get` waits and timeouts are not measured."""
    checkout: Checkout | None = getattr(type(pool), "_do_get", None)
    if checkout is None:
        return
    weak_pool = ref(pool)  # a strong reference in its own method would keep a disposed pool alive

    def wrapped() -> ConnectionPoolEntry:
        this = weak_pool()
        assert this is not None, "a method of the pool runs"  # noqa: S101 for the type checker
        return around(this, checkout)

    pool._do_get = wrapped


def wrap_creator(pool: Any, before: Callable[[ConnectionPoolEntry], None]) -> None:
    """Call `before` when the pool opens a connection; without `_invoke_creator` creation times are not measured.

    The public event `do_connect` is not sent where the application passes a creator of its own.
    """
    create = getattr(pool, "_invoke_creator", None)
    if create is None:
        return
    create = getattr(create, _UNWRAPPED, create)

    def wrapped(entry: ConnectionPoolEntry) -> Any:
        before(entry)
        return create(entry)

    setattr(wrapped, _UNWRAPPED, create)
    pool._invoke_creator = wrapped
