"""PostgreSQL, through asyncpg."""

from typing import Any

from sqlalchemy import URL, Dialect, event, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from service.database.pool import pool_options
from service.errors import DatabaseUnreachable
from service.migrations import CURRENT, INDEXES, TABLES
from service.settings import Settings

CLIENT_GRACE_S = 1.0
"""How much later than the server the client gives up on a statement: only when the server is silent."""

WATCH_TIMEOUT_S = 1.0
"""How long a server may be silent before its watch counts it as down."""


class Postgres:
    """A database of a server, with the secondary indexes or without them."""

    def __init__(self, address: URL, *, indexed: bool) -> None:
        self._address = address
        self._expected = CURRENT[(TABLES, INDEXES) if indexed else (TABLES,)]

    def engine(self, settings: Settings) -> AsyncEngine:
        """Return an engine that has not connected yet."""
        engine = create_async_engine(self._address, connect_args=_connect_args(settings), **pool_options(settings))
        event.listen(engine.sync_engine, "do_connect", _connected)
        return engine

    def watching_engine(self) -> AsyncEngine:
        """Return an engine with one connection of its own, for questions that must not wait for the pool."""
        options = {
            "server_settings": {"application_name": "flightdeck watch"},
            "timeout": WATCH_TIMEOUT_S,
            "command_timeout": WATCH_TIMEOUT_S,
        }
        return create_async_engine(
            self._address, connect_args=options, pool_size=1, max_overflow=0, isolation_level="AUTOCOMMIT"
        )

    async def begin_writing(self, session: AsyncSession) -> None:
        """Nothing to do: rows are locked as they are changed, or read `with_for_update`."""

    async def begin_snapshot(self, session: AsyncSession) -> None:
        """Begin a transaction that sees what was committed before its first read, and nothing later."""
        await session.connection(execution_options={"isolation_level": "REPEATABLE READ"})

    async def schema_is_current(self, session: AsyncSession) -> bool:
        """Return whether the migrations of this version have run."""
        found = await session.scalars(text("SELECT version_num FROM alembic_version"))
        return frozenset(found) == self._expected

    @property
    def absence(self) -> str:
        """What to say while the server does not answer."""
        return f"{self._address} can not be reached"


def _connect_args(settings: Settings) -> dict[str, Any]:
    server_settings = {"application_name": f"flightdeck {settings.arm}"[:63]}
    if not settings.uses("timeouts"):
        return {"server_settings": server_settings}
    timeouts_s = {"statement_timeout": settings.statement_timeout_s, "lock_timeout": settings.lock_timeout_s}
    return {
        "server_settings": server_settings | {name: f"{value * 1000:.0f}" for name, value in timeouts_s.items()},
        "timeout": settings.connect_timeout_s,
        "command_timeout": settings.statement_timeout_s + CLIENT_GRACE_S,
    }


def _connected(dialect: Dialect, _record: object, arguments: list[Any], options: dict[str, Any]) -> Any:
    """Return a connection; a host that is unknown, refuses or is silent is an `OSError` in the driver."""
    try:
        return dialect.connect(*arguments, **options)
    except OSError as error:
        raise DatabaseUnreachable from error
