"""The embedded database: a SQLite file that the loader made."""

import logging
from typing import Any

from sqlalchemy import URL, event, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from service.core.database_url import embedded_path
from service.database.failures import NOT_LOADED
from service.database.pool import pool_options
from service.dataset.schema import embedded_version
from service.errors import DatabaseUnreachable
from service.settings import Settings

BUSY_TIMEOUT_S = 5.0
"""How long a connection waits for another one's write lock."""


class Sqlite:
    """A file; writers take turns, readers never wait."""

    def __init__(self, address: URL) -> None:
        self._address = address
        self._path = embedded_path(address)

    def engine(self, settings: Settings) -> AsyncEngine:
        """Return an engine that has not touched the file yet, and never makes one."""
        engine = create_async_engine(self._address, connect_args={"timeout": BUSY_TIMEOUT_S}, **pool_options(settings))
        event.listen(engine.sync_engine, "do_connect", self._refuse_a_missing_file)
        event.listen(engine.sync_engine, "connect", _tuned)
        logging.getLogger("aiosqlite").setLevel(logging.INFO)  # below, it writes down what statements are given
        return engine

    async def begin_writing(self, session: AsyncSession) -> None:
        """Take the writers' turn now, so that what this one reads is what it changes."""
        await session.execute(text("BEGIN IMMEDIATE"))

    async def begin_snapshot(self, session: AsyncSession) -> None:
        """Begin a transaction, which the driver else leaves out before reads; with the log it holds up no writer."""
        await session.execute(text("BEGIN"))

    async def schema_is_current(self, session: AsyncSession) -> bool:
        """Return whether the loader of this version made the file."""
        version = await session.scalar(text("PRAGMA user_version"))
        return bool(version == embedded_version())

    @property
    def absence(self) -> str:
        """What to say while the file can not be opened."""
        return (
            f"{self._path} can not be opened" if self._path.exists() else f"{self._path} does not exist: {NOT_LOADED}"
        )

    def _refuse_a_missing_file(self, *_: object) -> None:
        """SQLite would make an empty database of it."""
        if not self._path.exists():
            raise DatabaseUnreachable


def _tuned(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    # Safe with a write-ahead log, which the loader puts into the file: a power cut loses the last commits at most.
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.close()
