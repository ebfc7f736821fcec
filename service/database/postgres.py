"""PostgreSQL, through asyncpg."""

from typing import Any

from sqlalchemy import URL, Dialect, event, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from service.database.pool import pool_options
from service.errors import DatabaseUnreachable
from service.migrations import CURRENT, INDEXES, TABLES
from service.settings import Settings

CLIENT_GRACE_S = 1.0
"""How much later than the server the client times a statement out: only when the server does not respond."""

MONITOR_TIMEOUT_S = 1.0
"""The timeout of a poll, after which the server counts as down."""


class Postgres:
    """A PostgreSQL database, with or without the secondary indexes."""

    def __init__(self, address: URL, *, indexed: bool) -> None:
        self._address = address
        self._expected = CURRENT[(TABLES, INDEXES) if indexed else (TABLES,)]

    def engine(self, settings: Settings) -> AsyncEngine:
        engine = create_async_engine(self._address, connect_args=_connect_args(settings), **pool_options(settings))
        event.listen(engine.sync_engine, "do_connect", _connect)
        return engine

    def monitoring_engine(self) -> AsyncEngine:
        """Return an engine with its own single connection, so that polls do not wait for the pool."""
        options = {
            "server_settings": {"application_name": "flightdeck monitor"},
            "timeout": MONITOR_TIMEOUT_S,
            "command_timeout": MONITOR_TIMEOUT_S,
        }
        return create_async_engine(
            self._address, connect_args=options, pool_size=1, max_overflow=0, isolation_level="AUTOCOMMIT"
        )

    async def begin_writing(self, session: AsyncSession) -> None:
        """Do nothing: writers lock the rows they change or read `with_for_update`."""

    async def begin_snapshot(self, session: AsyncSession) -> None:
        """Begin a transaction that sees what was committed before its first read, and nothing later."""
        await session.connection(execution_options={"isolation_level": "REPEATABLE READ"})

    async def schema_is_current(self, session: AsyncSession) -> bool:
        found = await session.scalars(text("SELECT version_num FROM alembic_version"))
        return frozenset(found) == self._expected

    @property
    def unreachable_message(self) -> str:
        return f"{self._address} is unreachable"


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


def _connect(dialect: Dialect, _record: object, arguments: list[Any], options: dict[str, Any]) -> Any:
    """Return a connection; asyncpg raises `OSError` when the host is unknown, refuses or times out."""
    try:
        return dialect.connect(*arguments, **options)
    except OSError as error:
        raise DatabaseUnreachable from error
