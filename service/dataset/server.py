"""The databases of a PostgreSQL server: each is filled in one transaction, so it is complete or unchanged."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from asyncpg import PostgresError
from sqlalchemy import URL, NullPool, Table, func, insert, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from service.core.models import Base, DatasetLoad, StatusChange
from service.dataset.errors import DamagedDatabase, DatabaseInUse, KeptChanges, ServerFailed, WrongContent
from service.dataset.rows import TABLE_SOURCES, Row, differences, fact_queries
from service.dataset.source import Manifest, Source, records
from service.dataset.target import Progress, State
from service.migrations import CURRENT, INDEXES, TABLES
from service.migrations.run import downgrade, has_branch, revisions, upgrade

CHUNK_ROWS = 10_000
LOCK_KEY = 0x_F11_647_DEC
"""The advisory lock of a load."""
LOCK_TIMEOUT_S = 10
"""How long a load waits for tables that a running process has locked."""

_TABLES = ", ".join(table.name for table in Base.metadata.sorted_tables)
_NO_SUCH_DATABASE, _LOCK_NOT_AVAILABLE = "3D000", "55P03"
_ALREADY_EXISTS = {"42P04", "23505"}  # duplicate database; in a race, unique violation


class ServerDatabase:
    """One database, in a transaction."""

    def __init__(self, url: URL, connection: AsyncConnection, branches: tuple[str, ...]) -> None:
        self.url = url
        self._connection = connection
        self._branches = branches

    async def lock(self, progress: Progress) -> None:
        """Take the lock of loads until the transaction ends, after waiting for another load."""
        await self._connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_S}s'"))
        if not await self._connection.scalar(select(func.pg_try_advisory_xact_lock(LOCK_KEY))):
            progress.say(f"another load is filling {self.url}: waiting for it")
            await self._connection.execute(text("SET LOCAL lock_timeout = 0"))
            await self._connection.execute(select(func.pg_advisory_xact_lock(LOCK_KEY)))
            await self._connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_S}s'"))

    async def state(self) -> State:
        found = await self._connection.run_sync(revisions)
        if not found:
            return State(name=str(self.url))
        load = (await self._connection.execute(select(DatasetLoad.digest, DatasetLoad.loaded_at))).one_or_none()
        changes = await self._connection.scalar(select(func.count()).select_from(StatusChange))
        size_bytes = await self._connection.scalar(select(func.pg_database_size(func.current_database())))
        return State(
            name=str(self.url),
            digest=load.digest if load else None,
            loaded_at=f"{load.loaded_at:%Y-%m-%d %H:%M:%S}" if load else None,
            schema_is_current=found == CURRENT[self._branches],
            status_changes=changes or 0,
            size_bytes=size_bytes or 0,
        )

    async def migrate(self) -> None:
        """Migrate the schema to this version; rows are kept."""
        if INDEXES not in self._branches:
            await self._drop_indexes()
        await self._connection.run_sync(upgrade, self._branches)

    async def empty(self) -> None:
        """Create the tables, without secondary indexes and rows."""
        await self._drop_indexes()
        await self._connection.run_sync(upgrade, [TABLES])
        await self._connection.execute(text(f"TRUNCATE {_TABLES}"))

    async def copy(self, table: Table, rows: Sequence[Row]) -> None:
        """Append rows with COPY, in the order of the table's columns."""
        driver: Any = (await self._connection.get_raw_connection()).driver_connection
        await driver.copy_records_to_table(table.name, records=rows, columns=table.columns.keys())

    async def finish(self, manifest: Manifest) -> None:
        """Create the indexes, check the facts, and record that the load is complete."""
        await self.migrate()
        await self._connection.execute(text(f"ANALYZE {_TABLES}"))
        different = await self.differences(manifest, fresh=True)
        if different:
            raise WrongContent(different)
        await self._connection.execute(insert(DatasetLoad).values(digest=manifest.digest, loaded_at=datetime.now(UTC)))

    async def differences(self, manifest: Manifest, *, fresh: bool) -> list[str]:
        """Return the facts of the manifest that differ in the database."""
        found: dict[str, int | None] = {}
        for sql, names in fact_queries(fresh=fresh):
            found |= dict(zip(names, (await self._connection.execute(text(sql))).one(), strict=True))
        return differences(found, manifest.facts)

    async def _drop_indexes(self) -> None:
        if await self._connection.run_sync(has_branch, INDEXES):
            await self._connection.run_sync(downgrade, INDEXES)


@asynccontextmanager
async def engine(url: URL, **options: Any) -> AsyncIterator[AsyncEngine]:
    """Yield an engine without a pool, which is disposed of at the end of the block."""
    created = create_async_engine(url, poolclass=NullPool, **options)
    try:
        yield created
    finally:
        await created.dispose()


@asynccontextmanager
async def opened(url: URL, branches: tuple[str, ...]) -> AsyncIterator[ServerDatabase]:
    """Yield the database in a transaction that is committed at the end of the block."""
    async with engine(url) as opened_engine, opened_engine.begin() as connection:
        yield ServerDatabase(url, connection, branches)


async def ensure_exists(url: URL) -> None:
    """Create an empty database, through the database `postgres` of the server, unless it exists."""
    if await exists(url):
        return
    async with engine(url.set(database="postgres"), isolation_level="AUTOCOMMIT") as server:
        try:
            async with server.connect() as connection:
                name = connection.dialect.identifier_preparer.quote(url.database or "")
                await connection.execute(text(f"CREATE DATABASE {name}"))
        except DBAPIError as error:
            if _sqlstate(error) not in _ALREADY_EXISTS:
                raise


async def exists(url: URL) -> bool:
    async with engine(url) as database:
        try:
            async with database.connect():
                return True
        except DBAPIError as error:
            if _sqlstate(error) == _NO_SUCH_DATABASE:
                return False
            raise


@contextmanager
def translate_errors(url: URL) -> Iterator[None]:
    """Raise a `DatasetError` for errors of the server and for lost connections."""
    try:
        yield
    except DBAPIError as error:
        if _sqlstate(error) == _LOCK_NOT_AVAILABLE:
            raise DatabaseInUse(str(url)) from error
        raise ServerFailed(str(url), str(error.orig)) from error
    except (PostgresError, OSError) as error:  # raised by asyncpg directly, from COPY and from connecting
        raise ServerFailed(str(url), str(error)) from error


def _sqlstate(error: DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None)


@dataclass(frozen=True, kw_only=True)
class PostgresTarget:
    """The database with secondary indexes and its twin without them."""

    indexed: URL
    unindexed: URL

    @property
    def _databases(self) -> tuple[tuple[URL, tuple[str, ...]], ...]:
        return (self.indexed, (TABLES, INDEXES)), (self.unindexed, (TABLES,))

    def load(self, source: Source, progress: Progress, *, force: bool = False) -> bool:
        """Load both; return False if they were complete already, after verifying them.

        A killed load leaves both unchanged, or the twin complete and the other unchanged.
        """
        with translate_errors(self.indexed):
            return asyncio.run(self._load(source, progress, force=force))

    def states(self) -> list[State]:
        with translate_errors(self.indexed):
            return asyncio.run(self._states())

    def migrate(self) -> None:
        """Migrate the schema of both to this version; rows are kept. Missing databases are created."""
        with translate_errors(self.indexed):
            asyncio.run(self._migrate())

    async def _migrate(self) -> None:
        for url, branches in self._databases:
            await ensure_exists(url)
            async with opened(url, branches) as database:
                await database.migrate()

    async def _load(self, source: Source, progress: Progress, *, force: bool) -> bool:
        for url, _branches in self._databases:
            await ensure_exists(url)
        # The transaction opened last is committed first, so the database never exists without its twin.
        async with opened(self.indexed, (TABLES, INDEXES)) as indexed, opened(self.unindexed, (TABLES,)) as unindexed:
            databases = (unindexed, indexed)
            for database in databases:
                await database.lock(progress)
            wanted = [database for database in databases if force or not await _is_complete(database, source, progress)]
            if wanted:
                await _fill(wanted, source, progress)
            return bool(wanted)

    async def _states(self) -> list[State]:
        states = []
        for url, branches in self._databases:
            if await exists(url):
                async with opened(url, branches) as database:
                    states.append(await database.state())
            else:
                states.append(State(name=str(url)))
        return states


async def _is_complete(database: ServerDatabase, source: Source, progress: Progress) -> bool:
    """Return whether the database holds this data set; if it does, migrate its schema to this version."""
    state = await database.state()
    if state.digest != source.manifest.digest:
        if state.status_changes:
            raise KeptChanges(state.name, state.status_changes)
        if state.digest:
            progress.say(f"{state.name} is of another version: loading it again")
        return False
    if not state.schema_is_current:
        progress.say(f"{state.name}: migrating the schema to this version")
        await database.migrate()
    different = await database.differences(source.manifest, fresh=False)
    if different:
        raise DamagedDatabase(state.name, "; ".join(different))
    return True


async def _fill(databases: Sequence[ServerDatabase], source: Source, progress: Progress) -> None:
    contents = source.contents()
    for database in databases:
        await database.empty()
    for table_source in TABLE_SOURCES:
        progress.step(table_source.table.name, source.manifest.files[table_source.file].rows)
        lines = enumerate(records(contents.pop(table_source.file)), start=1)
        rows = (table_source.row(record, number) for number, record in lines)
        while chunk := list(islice(rows, CHUNK_ROWS)):
            await asyncio.gather(*(database.copy(table_source.table, chunk) for database in databases))
            progress.advance(len(chunk))
    progress.step("indexes", len(databases))
    for database in databases:
        await database.finish(source.manifest)
        progress.advance(1)
