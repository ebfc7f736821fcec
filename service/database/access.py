"""The database as the service uses it: sessions to read and to write, and whether it is ready."""

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from service.database.engine import make_engine, pool_timeout_s
from service.database.failures import NOT_LOADED, translated
from service.database_url import embedded_path, is_embedded, parsed
from service.dataset.schema import embedded_version
from service.errors import DatabaseUnreachable, NotReady
from service.models import DatasetLoad
from service.settings import Settings


class Database:
    """The engines by role and the sessions on them; nothing connects before the first statement."""

    def __init__(self, settings: Settings) -> None:
        url = settings.database_url if settings.uses("indexes") else settings.database_unindexed_url
        primary = make_engine(url, settings)
        self._address = parsed(url)
        self.engines: dict[str, AsyncEngine] = {"primary": primary}
        self._settings = settings
        self._sessions = async_sessionmaker(primary, expire_on_commit=False)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """Yield a session for reads; its connection is back in the pool afterwards, whatever happens."""
        with self._translated():
            async with self._sessions() as session:
                yield session

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncSession]:
        """Yield a session whose changes are committed at the end, all or none.

        On SQLite writers take turns from the first statement, so that what a writer read is what it changes;
        on PostgreSQL select the rows `with_for_update`.
        """
        with self._translated():
            async with self._sessions.begin() as session:
                if is_embedded(self._address):
                    await session.execute(text("BEGIN IMMEDIATE"))
                yield session

    async def check(self) -> None:
        """Raise `NotReady` unless the database answers and holds the flights in the tables of this version."""
        try:
            async with self.reading() as session:
                digest = (await session.execute(select(DatasetLoad.digest))).scalar_one_or_none()
                version = await session.scalar(text("PRAGMA user_version"))
        except DatabaseUnreachable as error:
            if is_embedded(self._address) and not embedded_path(self._address).exists():
                raise NotReady({"database": f"{embedded_path(self._address)} does not exist: {NOT_LOADED}"}) from error
            raise NotReady({"database": f"{self._address} can not be reached"}) from error
        if digest is None:
            raise NotReady({"database": NOT_LOADED})
        if version != embedded_version():
            raise NotReady({"database": "another version loaded the flights; run `flightdeck data load`"})

    async def close(self) -> None:
        """Close every connection."""
        for engine in self.engines.values():
            await engine.dispose()

    def _translated(self) -> AbstractContextManager[None]:
        return translated(
            pool_size=self._settings.pool_size,
            pool_overflow=self._settings.pool_max_overflow,
            pool_timeout_s=pool_timeout_s(self._settings),
        )
