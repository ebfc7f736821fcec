"""The embedded databases: two SQLite files that are complete or not there."""

import glob
import os
import shutil
import sqlite3
from collections.abc import Collection
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from service.core.models import SECONDARY_INDEXES
from service.dataset import schema, sqlite
from service.dataset.errors import DamagedDatabase, DatabaseInUse, KeptChanges, NoMigrations, NotWritable
from service.dataset.lock import locked
from service.dataset.manifest import Manifest
from service.dataset.progress import Progress
from service.dataset.source import Source
from service.dataset.state import State

LEFTOVER = ".loading"
"""How the name of a file ends that a running, or killed, load is writing."""


@dataclass(frozen=True, kw_only=True)
class Embedded:
    """The database with secondary indexes and its twin without them."""

    indexed: Path
    unindexed: Path

    @property
    def paths(self) -> tuple[Path, Path]:
        """Both files; the twin first, so that the database never exists without it."""
        return self.unindexed, self.indexed

    def migrate(self) -> None:
        """Refuse: a load makes these files again."""
        raise NoMigrations(str(self.indexed))

    def states(self) -> list[State]:
        """Return what both files hold, the one with indexes first."""
        return [state(self.indexed), state(self.unindexed)]

    def load(self, source: Source, progress: Progress, *, force: bool = False) -> bool:
        """Make both databases complete; return False if they already were, after verifying them.

        A load that is killed leaves only files named `.*.loading`, which the next one removes.
        """
        directory = self.indexed.parent
        try:
            for path in self.paths:
                path.parent.mkdir(parents=True, exist_ok=True)
            with locked(directory, progress):
                _remove_leftovers(self)
                wanted = self.paths if force else _incomplete(self, source.manifest, progress)
                if wanted:
                    _make(self, wanted, source, progress)
                return bool(wanted)
        except (OSError, sqlite3.Error) as error:
            raise NotWritable(directory, getattr(error, "strerror", None) or str(error)) from error


def state(path: Path) -> State:
    """Return what the file holds; raise `DamagedDatabase` if it is not a database that a load made."""
    if not path.exists() or path.stat().st_size == 0:
        return State(name=str(path))
    try:
        with closing(sqlite.connect(path)) as connection:
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
        schema_is_current=version == schema.embedded_version(),
        loaded_at=loaded_at,
        status_changes=changes,
        size_bytes=path.stat().st_size,
    )


def verify(path: Path, manifest: Manifest) -> None:
    """Raise `DamagedDatabase` unless the loaded database still shows the manifest's facts."""
    try:
        with closing(sqlite.connect(path)) as connection:
            differences = sqlite.lasting_differences(connection, manifest)
    except sqlite3.Error as error:
        raise DamagedDatabase(str(path), str(error)) from error
    if differences:
        raise DamagedDatabase(str(path), "; ".join(differences))


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}{LEFTOVER}")


def _remove_leftovers(target: Embedded) -> None:
    for path in target.paths:
        for leftover in path.parent.glob(f"{glob.escape(_temporary(path).name)}*"):
            leftover.unlink(missing_ok=True)


def _incomplete(target: Embedded, manifest: Manifest, progress: Progress) -> tuple[Path, ...]:
    """Return the files to make, after verifying the complete ones."""
    incomplete = []
    for path in target.paths:
        found = state(path)
        if found.digest == manifest.digest and found.schema_is_current:
            verify(path, manifest)
            continue
        if found.status_changes:
            raise KeptChanges(str(path), found.status_changes)
        if found.digest:
            progress.say(f"{path} was made by another version: making it again")
        incomplete.append(path)
    return tuple(incomplete)


def _make(target: Embedded, wanted: Collection[Path], source: Source, progress: Progress) -> None:
    """Build both files under temporary names, then give the wanted ones their names, the twin first."""
    unindexed, indexed = (_temporary(path) for path in target.paths)
    try:
        sqlite.fill(unindexed, source, progress)
        progress.step("indexes", len(SECONDARY_INDEXES))
        shutil.copyfile(unindexed, indexed)
        sqlite.index(indexed, progress)
        for temporary, path in zip((unindexed, indexed), target.paths, strict=True):
            if path in wanted:
                _written_out(temporary)
                _retire(path)
                temporary.replace(path)
                _written_out(path.parent)
    finally:
        with suppress(OSError):
            _remove_leftovers(target)


def _written_out(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _retire(path: Path) -> None:
    """Fold an old database's write-ahead log into it, or drop the log of a damaged one.

    A log that stayed behind would be replayed into the new file.
    """
    if not path.exists():
        return
    try:
        with closing(sqlite.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.OperationalError as error:
        if "locked" in str(error) or "busy" in str(error):
            raise DatabaseInUse(str(path)) from error
        raise
    except sqlite3.DatabaseError:
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
