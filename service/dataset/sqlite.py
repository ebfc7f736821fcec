"""One SQLite file: filled from the source, indexed, checked."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Table

from service.core.models import DatasetLoad
from service.dataset import facts, schema
from service.dataset.errors import WrongContent
from service.dataset.manifest import Manifest
from service.dataset.progress import Progress
from service.dataset.rows import MAPPINGS, Mapping, Row
from service.dataset.schema import SQLITE
from service.dataset.source import Source, records

CHUNK_ROWS = 10_000


def connect(path: Path) -> sqlite3.Connection:
    """Return a connection to an existing file; one that is missing is an error, not an empty database."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=5, isolation_level=None)


def fill(path: Path, source: Source, progress: Progress) -> None:
    """Make a database without secondary indexes at this path, which nobody else reads yet."""
    contents = source.contents()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        # A crash loses the whole file, never half of one that somebody reads: it gets its name last.
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        for statement in schema.table_statements(SQLITE):
            connection.execute(statement)
        for mapping in MAPPINGS:
            progress.step(mapping.table.name, source.manifest.files[mapping.file].rows)
            _insert(connection, mapping, contents.pop(mapping.file), progress)
        connection.execute("COMMIT")
        differences = facts.differences(_facts(connection, fresh=True), source.manifest.facts)
        if differences:
            raise WrongContent(differences)
        loaded = (source.manifest.digest, datetime.now(UTC))
        connection.execute(schema.insert_statement(_LOADS, SQLITE), next(_stored(_LOADS, [loaded])))
        connection.execute(f"PRAGMA user_version = {schema.embedded_version()}")
        _finish(connection)


def index(path: Path, progress: Progress) -> None:
    """Add the secondary indexes to a filled database that nobody else reads yet."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        for statement in schema.index_statements(SQLITE):
            connection.execute(statement)
            progress.advance(1)
        _finish(connection)


def lasting_differences(connection: sqlite3.Connection, manifest: Manifest) -> list[str]:
    """Return what a loaded database, perhaps with status updates, lacks of the manifest's facts."""
    return facts.differences(_facts(connection, fresh=False), manifest.facts)


_LOADS = cast("Table", DatasetLoad.__table__)


def _finish(connection: sqlite3.Connection) -> None:
    connection.execute("ANALYZE")
    connection.execute("PRAGMA journal_mode = WAL")  # kept in the file: readers and a writer do not block each other


def _facts(connection: sqlite3.Connection, *, fresh: bool) -> dict[str, int | None]:
    found: dict[str, int | None] = {}
    for sql, names in facts.queries(fresh=fresh):
        found |= dict(zip(names, connection.execute(sql).fetchone(), strict=True))
    return found


def _insert(connection: sqlite3.Connection, mapping: Mapping, content: bytes, progress: Progress) -> None:
    table = mapping.table
    rows = _stored(table, (mapping.row(record, number) for number, record in enumerate(records(content), start=1)))
    statement = schema.insert_statement(table, SQLITE)
    while chunk := list(islice(rows, CHUNK_ROWS)):
        connection.executemany(statement, chunk)
        progress.advance(len(chunk))


def _stored(table: Table, rows: Iterable[Row]) -> Iterator[list[Any]]:
    """Yield the rows with the values as the service's own dialect stores them."""
    converters: list[tuple[int, Callable[[Any], Any]]] = []
    for position, column in enumerate(table.columns):
        processor = column.type.dialect_impl(SQLITE).bind_processor(SQLITE)
        if processor:
            converters.append((position, cache(processor)))
    for row in rows:
        values = list(row)
        for position, stored in converters:
            values[position] = stored(values[position])
        yield values
