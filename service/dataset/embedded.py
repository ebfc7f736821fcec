"""The embedded databases: two SQLite files that are complete or absent."""

import fcntl
import glob
import hashlib
import os
import shutil
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, Final, cast

from sqlalchemy import Table, insert
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from service.core.models import SECONDARY_INDEXES, Base, DatasetLoad
from service.dataset.errors import (
    DamagedDatabase,
    DatabaseInUse,
    KeptChanges,
    NoMigrations,
    NotWritable,
    WrongContent,
)
from service.dataset.rows import TABLE_SOURCES, Row, TableSource, differences, fact_queries
from service.dataset.source import Manifest, Source, records
from service.dataset.target import Progress, State

TEMPORARY_SUFFIX = ".loading"
"""The suffix of files that a load is writing, or that a killed load left behind."""

CHUNK_ROWS = 10_000
DIALECT: Final = sqlite.dialect(paramstyle="qmark")
_LOADS = cast("Table", DatasetLoad.__table__)


def table_statements() -> list[str]:
    """Return the statements that create the tables, with primary keys only."""
    return [str(CreateTable(table).compile(dialect=DIALECT)) for table in Base.metadata.sorted_tables]


def index_statements() -> list[str]:
    """Return the statements that create the secondary indexes."""
    return [str(CreateIndex(index).compile(dialect=DIALECT)) for index in SECONDARY_INDEXES]


def insert_statement(table: Table) -> str:
    """Return the statement that inserts a row, in the order of the table's columns."""
    return str(insert(table).compile(dialect=DIALECT))


def embedded_version() -> int:
    """Return the `user_version` of a SQLite database with these tables."""
    statements = "\n".join([*table_statements(), *index_statements()])
    return int.from_bytes(hashlib.sha256(statements.encode()).digest()[:4]) >> 1  # a positive 32-bit integer


@dataclass(frozen=True, kw_only=True)
class SqliteTarget:
    """The database with secondary indexes and its twin without them."""

    indexed: Path
    unindexed: Path

    @property
    def paths(self) -> tuple[Path, Path]:
        """Both files; the unindexed twin first, so that the other never exists without it."""
        return self.unindexed, self.indexed

    def migrate(self) -> None:
        raise NoMigrations(str(self.indexed))

    def states(self) -> list[State]:
        return [state(self.indexed), state(self.unindexed)]

    def load(self, source: Source, progress: Progress, *, force: bool = False) -> bool:
        """Load both; return False if they were complete already, after verifying them.

        A killed load leaves files named `.*.loading`, which the next one removes.
        """
        directory = self.indexed.parent
        try:
            for path in self.paths:
                path.parent.mkdir(parents=True, exist_ok=True)
            with locked(directory, progress):
                _remove_leftovers(self)
                wanted = self.paths if force else _incomplete(self, source.manifest, progress)
                if wanted:
                    _build(self, wanted, source, progress)
                return bool(wanted)
        except (OSError, sqlite3.Error) as error:
            raise NotWritable(directory, getattr(error, "strerror", None) or str(error)) from error


def state(path: Path) -> State:
    """Return what the file holds; raise `DamagedDatabase` if it is not a loaded database."""
    if not path.exists() or path.stat().st_size == 0:
        return State(name=str(path))
    try:
        with closing(connect(path)) as connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if "dataset_load" not in tables:
                raise DamagedDatabase(str(path), "it has no table `dataset_load`")
            loads = connection.execute("SELECT digest, loaded_at FROM dataset_load").fetchall()
            if len(loads) != 1:
                raise DamagedDatabase(str(path), f"`dataset_load` has {len(loads)} rows instead of one")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            (changes,) = connection.execute("SELECT count(*) FROM status_changes").fetchone()
    except sqlite3.Error as error:
        raise DamagedDatabase(str(path), str(error)) from error
    digest, loaded_at = loads[0]
    return State(
        name=str(path),
        digest=digest,
        schema_is_current=version == embedded_version(),
        loaded_at=loaded_at,
        status_changes=changes,
        size_bytes=path.stat().st_size,
    )


def verify(path: Path, manifest: Manifest) -> None:
    """Raise `DamagedDatabase` unless the database still has the lasting facts of the manifest."""
    try:
        with closing(connect(path)) as connection:
            different = differences(_facts(connection, fresh=False), manifest.facts)
    except sqlite3.Error as error:
        raise DamagedDatabase(str(path), str(error)) from error
    if different:
        raise DamagedDatabase(str(path), "; ".join(different))


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}{TEMPORARY_SUFFIX}")


def _remove_leftovers(target: SqliteTarget) -> None:
    for path in target.paths:
        for leftover in path.parent.glob(f"{glob.escape(_temporary(path).name)}*"):
            leftover.unlink(missing_ok=True)


def _incomplete(target: SqliteTarget, manifest: Manifest, progress: Progress) -> tuple[Path, ...]:
    """Return the files to build, after verifying the complete ones."""
    incomplete = []
    for path in target.paths:
        found = state(path)
        if found.digest == manifest.digest and found.schema_is_current:
            verify(path, manifest)
            continue
        if found.status_changes:
            raise KeptChanges(str(path), found.status_changes)
        if found.digest:
            progress.say(f"{path} is of another version: loading it again")
        incomplete.append(path)
    return tuple(incomplete)


def _build(target: SqliteTarget, wanted: Collection[Path], source: Source, progress: Progress) -> None:
    """Build both files under temporary names, then rename the wanted ones, the twin first."""
    unindexed, indexed = (_temporary(path) for path in target.paths)
    try:
        fill(unindexed, source, progress)
        progress.step("indexes", len(SECONDARY_INDEXES))
        shutil.copyfile(unindexed, indexed)
        index(indexed, progress)
        for temporary, path in zip((unindexed, indexed), target.paths, strict=True):
            if path in wanted:
                _fsync(temporary)
                _retire(path)
                temporary.replace(path)
                _fsync(path.parent)
    finally:
        with suppress(OSError):
            _remove_leftovers(target)


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _retire(path: Path) -> None:
    """Checkpoint the write-ahead log of an old database, or delete that of a damaged one.

    SQLite would replay a remaining log into the new file.
    """
    if not path.exists():
        return
    try:
        with closing(connect(path)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.OperationalError as error:
        if "locked" in str(error) or "busy" in str(error):
            raise DatabaseInUse(str(path)) from error
        raise
    except sqlite3.DatabaseError:
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)


@contextmanager
def locked(directory: Path, progress: Progress) -> Iterator[None]:
    """Lock the directory for one load, after waiting for another one.

    The lock is on the directory itself: it leaves no file, and the kernel releases it with the process.
    """
    handle = os.open(directory, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.say(f"another load is filling {directory}: waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def connect(path: Path) -> sqlite3.Connection:
    """Connect to an existing file; SQLite would create a missing one."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=5, isolation_level=None)


def fill(path: Path, source: Source, progress: Progress) -> None:
    """Create a database without secondary indexes at a path that no other process reads yet."""
    contents = source.contents()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        # Safe without a journal: the file is renamed when it is complete, so a crash leaves a temporary file only.
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        for statement in table_statements():
            connection.execute(statement)
        for table_source in TABLE_SOURCES:
            progress.step(table_source.table.name, source.manifest.files[table_source.file].rows)
            _insert(connection, table_source, contents.pop(table_source.file), progress)
        connection.execute("COMMIT")
        different = differences(_facts(connection, fresh=True), source.manifest.facts)
        if different:
            raise WrongContent(different)
        loaded = (source.manifest.digest, datetime.now(UTC))
        connection.execute(insert_statement(_LOADS), next(_converted(_LOADS, [loaded])))
        connection.execute(f"PRAGMA user_version = {embedded_version()}")
        _finish(connection)


def index(path: Path, progress: Progress) -> None:
    """Add the secondary indexes to a database that no other process reads yet."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        for statement in index_statements():
            connection.execute(statement)
            progress.advance(1)
        _finish(connection)


def _finish(connection: sqlite3.Connection) -> None:
    connection.execute("ANALYZE")
    connection.execute("PRAGMA journal_mode = WAL")  # persistent: readers and a writer do not block each other


def _facts(connection: sqlite3.Connection, *, fresh: bool) -> dict[str, int | None]:
    found: dict[str, int | None] = {}
    for sql, names in fact_queries(fresh=fresh):
        found |= dict(zip(names, connection.execute(sql).fetchone(), strict=True))
    return found


def _insert(connection: sqlite3.Connection, table_source: TableSource, content: bytes, progress: Progress) -> None:
    table = table_source.table
    rows = _converted(
        table, (table_source.row(record, number) for number, record in enumerate(records(content), start=1))
    )
    statement = insert_statement(table)
    while chunk := list(islice(rows, CHUNK_ROWS)):
        connection.executemany(statement, chunk)
        progress.advance(len(chunk))


def _converted(table: Table, rows: Iterable[Row]) -> Iterator[list[Any]]:
    """Yield the rows with their values as SQLAlchemy's dialect stores them."""
    converters: list[tuple[int, Callable[[Any], Any]]] = []
    for position, column in enumerate(table.columns):
        processor = column.type.dialect_impl(DIALECT).bind_processor(DIALECT)
        if processor:
            converters.append((position, cache(processor)))
    for row in rows:
        values = list(row)
        for position, convert in converters:
            values[position] = convert(values[position])
        yield values
