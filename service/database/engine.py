"""An engine for a database URL: pool, driver and per-connection settings."""

from pathlib import Path
from typing import Any

from sqlalchemy import AsyncAdaptedQueuePool, Dialect, NullPool, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from service.database_url import embedded_path, is_embedded, parsed
from service.errors import DatabaseUnreachable
from service.settings import Settings

BUSY_TIMEOUT_S = 5.0
"""How long a SQLite connection waits for another one's write lock."""
DRIVER_POOL_TIMEOUT_S = 30.0
"""SQLAlchemy's own default: what a pool waits that nobody gave a timeout."""


def make_engine(url: str, settings: Settings) -> AsyncEngine:
    """Return an engine that has not connected yet."""
    target = parsed(url)
    if is_embedded(target):
        engine = create_async_engine(target, connect_args={"timeout": BUSY_TIMEOUT_S}, **_pool_options(settings))
        event.listen(engine.sync_engine, "do_connect", _Existing(embedded_path(target)))
        event.listen(engine.sync_engine, "connect", _sqlite_connected)
        return engine
    engine = create_async_engine(target, **_pool_options(settings))
    event.listen(engine.sync_engine, "do_connect", _connected_to_server)
    return engine


def pool_timeout_s(settings: Settings) -> float:
    """Return the longest wait for a pooled connection, in seconds."""
    return settings.pool_timeout_s if settings.uses("timeouts") else DRIVER_POOL_TIMEOUT_S


def _pool_options(settings: Settings) -> dict[str, Any]:
    if not settings.uses("pooling"):
        return {"poolclass": NullPool}
    return {
        "poolclass": AsyncAdaptedQueuePool,
        "pool_size": settings.pool_size,
        "max_overflow": settings.pool_max_overflow,
        "pool_timeout": pool_timeout_s(settings),
        "pool_recycle": settings.pool_recycle_s,
        "pool_pre_ping": True,
    }


class _Existing:
    """Refuse a missing file: SQLite would make an empty database of it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, *_: object) -> None:
        if not self._path.exists():
            raise DatabaseUnreachable


def _sqlite_connected(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    # Safe with a write-ahead log, which the loader puts into the file: a power cut loses the last commits at most.
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.close()


def _connected_to_server(dialect: Dialect, _record: object, arguments: list[Any], options: dict[str, Any]) -> Any:
    """Return a connection; a host that is unknown, refuses or is silent is an `OSError` in the driver."""
    try:
        return dialect.connect(*arguments, **options)
    except OSError as error:
        raise DatabaseUnreachable from error
