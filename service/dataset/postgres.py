"""One PostgreSQL database, inside one transaction: made current, emptied, filled, checked."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import Any

from asyncpg import PostgresError
from sqlalchemy import URL, NullPool, Table, func, insert, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from service.core.models import Base, DatasetLoad, StatusChange
from service.dataset import facts
from service.dataset.errors import DatabaseInUse, ServerFailed, WrongContent
from service.dataset.manifest import Manifest
from service.dataset.progress import Progress
from service.dataset.rows import Row
from service.dataset.state import State
from service.migrations import CURRENT, INDEXES, TABLES
from service.migrations.run import downgrade, has_branch, revisions, upgrade

LOCK_KEY = 0x_F11_647_DEC
"""The advisory lock that one load of a database holds."""
LOCK_TIMEOUT_S = 10
"""How long a load waits for tables that a running process reads or writes."""

_TABLES = ", ".join(table.name for table in Base.metadata.sorted_tables)
_NO_SUCH_DATABASE, _LOCK_NOT_AVAILABLE = "3D000", "55P03"
_MADE_BY_ANOTHER = {"42P04", "23505"}  # known in time, or only when the name is written


class ServerDatabase:
    """A database of a server, in the transaction that a load or a look at it runs in."""

    def __init__(self, url: URL, connection: AsyncConnection, branches: tuple[str, ...]) -> None:
        self.url = url
        self._connection = connection
        self._branches = branches

    async def lock(self, progress: Progress) -> None:
        """Let no other load into this database until the transaction ends; wait, and say so, for a running one."""
        await self._connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_S}s'"))
        if not await self._connection.scalar(select(func.pg_try_advisory_xact_lock(LOCK_KEY))):
            progress.say(f"another load is filling {self.url}: waiting for it")
            await self._connection.execute(text("SET LOCAL lock_timeout = 0"))
            await self._connection.execute(select(func.pg_advisory_xact_lock(LOCK_KEY)))
            await self._connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_S}s'"))

    async def state(self) -> State:
        """Return what the database holds."""
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
        """Bring the schema to this version; rows stay."""
        if INDEXES not in self._branches:
            await self._drop_indexes()
        await self._connection.run_sync(upgrade, self._branches)

    async def empty(self) -> None:
        """Make the tables, without secondary indexes and without rows."""
        await self._drop_indexes()
        await self._connection.run_sync(upgrade, [TABLES])
        await self._connection.execute(text(f"TRUNCATE {_TABLES}"))

    async def copy(self, table: Table, rows: Sequence[Row]) -> None:
        """Append rows, in the order of the table's columns."""
        driver: Any = (await self._connection.get_raw_connection()).driver_connection
        await driver.copy_records_to_table(table.name, records=rows, columns=table.columns.keys())

    async def finish(self, manifest: Manifest) -> None:
        """Add the indexes that belong here, check the content, and say that the load is complete."""
        await self.migrate()
        await self._connection.execute(text(f"ANALYZE {_TABLES}"))
        differences = await self.differences(manifest, fresh=True)
        if differences:
            raise WrongContent(differences)
        await self._connection.execute(insert(DatasetLoad).values(digest=manifest.digest, loaded_at=datetime.now(UTC)))

    async def differences(self, manifest: Manifest, *, fresh: bool) -> list[str]:
        """Return which of the manifest's facts the database lacks."""
        found: dict[str, int | None] = {}
        for sql, names in facts.queries(fresh=fresh):
            found |= dict(zip(names, (await self._connection.execute(text(sql))).one(), strict=True))
        return facts.differences(found, manifest.facts)

    async def _drop_indexes(self) -> None:
        if await self._connection.run_sync(has_branch, INDEXES):
            await self._connection.run_sync(downgrade, INDEXES)


@asynccontextmanager
async def opened(url: URL, branches: tuple[str, ...]) -> AsyncIterator[ServerDatabase]:
    """Yield the database in a transaction, which is committed at the end."""
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            yield ServerDatabase(url, connection, branches)
    finally:
        await engine.dispose()


async def exists(url: URL) -> bool:
    """Return whether the server has this database."""
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        async with engine.connect():
            return True
    except DBAPIError as error:
        if _sqlstate(error) == _NO_SUCH_DATABASE:
            return False
        raise
    finally:
        await engine.dispose()


async def make(url: URL) -> None:
    """Make an empty database, through the one that every server has."""
    engine = create_async_engine(url.set(database="postgres"), poolclass=NullPool, isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as connection:
            name = connection.dialect.identifier_preparer.quote(url.database or "")
            await connection.execute(text(f"CREATE DATABASE {name}"))
    except DBAPIError as error:
        if _sqlstate(error) not in _MADE_BY_ANOTHER:
            raise
    finally:
        await engine.dispose()


@contextmanager
def refusals(url: URL) -> Iterator[None]:
    """Raise a `DatasetError` for what the server refuses and for a connection that is lost."""
    try:
        yield
    except DBAPIError as error:
        if _sqlstate(error) == _LOCK_NOT_AVAILABLE:
            raise DatabaseInUse(str(url)) from error
        raise ServerFailed(str(url), str(error.orig)) from error
    except (PostgresError, OSError) as error:  # from COPY and from connecting, which the driver does itself
        raise ServerFailed(str(url), str(error)) from error


def _sqlstate(error: DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None)
