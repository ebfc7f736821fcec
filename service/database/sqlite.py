"""The embedded database: a SQLite file."""

import logging
from typing import Any

from sqlalchemy import URL, event, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from service.core.database_url import embedded_path
from service.database.failures import NOT_LOADED
from service.database.pool import pool_options
from service.dataset.embedded import embedded_version
from service.errors import DatabaseUnreachable
from service.settings import Settings

BUSY_TIMEOUT_S = 5.0
"""How long a connection waits for the write lock."""


class Sqlite:
    """A SQLite file in WAL mode: one writer at a time, and readers never wait."""

    def __init__(self, address: URL) -> None:
        self._address = address
        self._path = embedded_path(address)

    def engine(self, settings: Settings) -> AsyncEngine:
        """Return an engine that never creates the file."""
        engine = create_async_engine(self._address, connect_args={"timeout": BUSY_TIMEOUT_S}, **pool_options(settings))
        event.listen(engine.sync_engine, "do_connect", self._require_file)
        event.listen(engine.sync_engine, "connect", _configure)
        logging.getLogger("aiosqlite").setLevel(logging.INFO)  # its debug log contains statement parameters
        return engine

    async def begin_writing(self, session: AsyncSession) -> None:
        """Take the write lock now, so that no other writer can change what this one reads."""
        await session.execute(text("BEGIN IMMEDIATE"))

    async def begin_snapshot(self, session: AsyncSession) -> None:
        """Begin a transaction, which the driver omits before reads; in WAL mode it blocks no writer."""
        await session.execute(text("BEGIN"))

    async def schema_is_current(self, session: AsyncSession) -> bool:
        version = await session.scalar(text("PRAGMA user_version"))
        return bool(version == embedded_version())

    @property
    def unreachable_message(self) -> str:
        return f"cannot open {self._path}" if self._path.exists() else f"{self._path} does not exist: {NOT_LOADED}"

    def _require_file(self, *_: object) -> None:
        """Raise if the file is missing: SQLite would create an empty database."""
        if not self._path.exists():
            raise DatabaseUnreachable


def _configure(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    # Safe in WAL mode: a power cut loses the last commits at most.
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.close()
