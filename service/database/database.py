"""The database as the service uses it: sessions to read and to write, and whether it is ready."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

from prometheus_client import CollectorRegistry
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from service.core.models import DatasetLoad
from service.database.backend import backend
from service.database.failures import NOT_LOADED, translated
from service.database.pool import pool_timeout_s
from service.database.reads import PrimaryReads, Reads
from service.database.replication import replica_reads
from service.errors import DatabaseUnreachable, NotReady
from service.settings import Settings


class Database:
    """The engines by role and the sessions on them; nothing connects before the first statement."""

    def __init__(self, settings: Settings, *, registry: CollectorRegistry | None = None) -> None:
        """Take what the settings say; `registry` shows what becomes of reads where there is a replica."""
        indexed = settings.uses("indexes")
        url = settings.database_url if indexed else settings.database_unindexed_url
        self._backend = backend(url, indexed=indexed)
        self._translated = partial(
            translated,
            pool_size=settings.pool_size,
            pool_overflow=settings.pool_max_overflow,
            pool_timeout_s=pool_timeout_s(settings),
        )
        primary = self._backend.engine(settings)
        self.engines: dict[str, AsyncEngine] = {"primary": primary}
        self._sessions = async_sessionmaker(primary, expire_on_commit=False)
        self._reads: Reads = PrimaryReads(self._sessions, self._translated)
        if settings.uses("read_replicas") and settings.database_replica_url:
            self.engines["replica"], self._reads = replica_reads(
                settings, self._sessions, self._translated, registry=registry or CollectorRegistry()
            )

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """Yield a session for reads; its connection is back in the pool afterwards, whatever happens."""
        async with self._reads.session() as session:
            yield session

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncSession]:
        """Yield a session for several reads that fit together: what is written meanwhile is in none of them."""
        async with self.reading() as session:
            with self._translated():
                await session.rollback()  # whoever chose the server may have asked it something
                await self._backend.begin_snapshot(session)
            yield session

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncSession]:
        """Yield a session whose changes are committed at the end, all or none.

        On SQLite writers take turns from here, so that what a writer read is what it changes;
        on PostgreSQL lock the rows that were read, or compare what they were.
        """
        with self._translated():
            async with self._sessions.begin() as session:
                await self._backend.begin_writing(session)
                yield session
        await self._reads.wrote()

    def once_replicated(self, action: Callable[[], Awaitable[None]]) -> None:
        """Run the action when no server that answers reads lacks this process's last write; never, if none ever does.

        What was derived from a replica's answer between the commit and then may be stale.
        """
        self._reads.once_replicated(action)

    async def check(self) -> None:
        """Raise `NotReady` unless the database answers and holds the flights in the tables of this version."""
        try:
            async with self.reading() as session:
                digest = (await session.execute(select(DatasetLoad.digest))).scalar_one_or_none()
                is_current = await self._backend.schema_is_current(session)
        except DatabaseUnreachable as error:
            raise NotReady({"database": self._backend.absence}) from error
        if digest is None:
            raise NotReady({"database": NOT_LOADED})
        if not is_current:
            raise NotReady({"database": "another version loaded the flights; run `flightdeck data load`"})

    async def start(self) -> None:
        """Begin to watch the replica, if there is one; until then, every read goes to the primary."""
        await self._reads.start()

    async def close(self) -> None:
        """Close every connection."""
        await self._reads.stop()
        for engine in self.engines.values():
            await engine.dispose()
