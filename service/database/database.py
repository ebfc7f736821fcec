"""The database: sessions to read and to write, and its readiness."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Self

from prometheus_client import CollectorRegistry
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from service.core.database_url import is_embedded, parsed
from service.core.models import DatasetLoad
from service.database.failures import NOT_LOADED, translate_errors
from service.database.pool import pool_timeout_s
from service.database.postgres import Postgres
from service.database.reads import PrimaryReads, ReplicaReads, replica_reads
from service.database.sqlite import Sqlite
from service.errors import DatabaseUnreachable, NotReady
from service.settings import Settings


class Database:
    """The engines by role and their sessions; an engine connects at its first statement.

    An async context manager: inside the block, reads use the replica if there is one.
    """

    def __init__(self, settings: Settings, *, registry: CollectorRegistry | None = None) -> None:
        """Create the engines; the metrics of the replica, if there is one, are in `registry`."""
        indexed = settings.uses("indexes")
        url = parsed(settings.database_url if indexed else settings.database_unindexed_url)
        self._backend = Sqlite(url) if is_embedded(url) else Postgres(url, indexed=indexed)
        self._translate_errors = partial(
            translate_errors,
            pool_size=settings.pool_size,
            pool_overflow=settings.pool_max_overflow,
            pool_timeout_s=pool_timeout_s(settings),
        )
        primary = self._backend.engine(settings)
        self.engines: dict[str, AsyncEngine] = {"primary": primary}
        self._sessions = async_sessionmaker(primary, expire_on_commit=False)
        self._reads: PrimaryReads | ReplicaReads = PrimaryReads(self._sessions, self._translate_errors)
        self.has_replica = settings.uses("read_replicas") and bool(settings.database_replica_url)
        if self.has_replica:
            self.engines["replica"], self._reads = replica_reads(
                settings, self._sessions, self._translate_errors, registry=registry or CollectorRegistry()
            )

    async def __aenter__(self) -> Self:
        await self._reads.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection."""
        await self._reads.stop()
        for engine in self.engines.values():
            await engine.dispose()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """Yield a session for reads."""
        async with self._reads.session() as session:
            yield session

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncSession]:
        """Yield a session whose reads are consistent with each other: they see the rows of one moment."""
        async with self.reading() as session:
            with self._translate_errors():
                await session.rollback()  # choosing the server may have begun a transaction
                await self._backend.begin_snapshot(session)
            yield session

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncSession]:
        """Yield a session whose changes are committed at the end of the block, or rolled back.

        On SQLite writers run one after the other, so what a writer read cannot change before its commit. On PostgreSQL
        lock the rows that were read, or compare their versions.
        """
        with self._translate_errors():
            async with self._sessions.begin() as session:
                await self._backend.begin_writing(session)
                yield session
        await self._reads.wrote()

    def once_replicated(self, action: Callable[[], Awaitable[None]]) -> None:
        """Run the action once the replica has this process's last write; never without a replica.

        Until then, what was derived from the replica after the commit may be stale.
        """
        self._reads.once_replicated(action)

    async def check(self) -> None:
        """Raise `NotReady` unless the database is up and holds the flights in the schema of this version."""
        try:
            async with self.reading() as session:
                digest = (await session.execute(select(DatasetLoad.digest))).scalar_one_or_none()
                is_current = await self._backend.schema_is_current(session)
        except DatabaseUnreachable as error:
            raise NotReady({"database": self._backend.unreachable_message}) from error
        if digest is None:
            raise NotReady({"database": NOT_LOADED})
        if not is_current:
            raise NotReady({"database": "the schema is of another version; run `flightdeck data load`"})
