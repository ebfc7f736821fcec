"""Why the data set could not be read or loaded.

DatasetError
├── DamagedFile         a file of the copy is not what the manifest says
├── DamagedDatabase     the database cannot be read or holds something else
├── DatabaseInUse       a running process has the database open
├── KeptChanges         a database of another version holds status updates
├── NoMigrations        the embedded databases are made again instead
├── ServerFailed        the database server refused, or was lost
├── WrongContent        what was loaded is not what the manifest says
└── NotWritable         the target directory or disk refuses the write
"""

from pathlib import Path

_FORCE = "`flightdeck data load --force` makes it again"


class DatasetError(Exception):
    """The data set cannot be read or loaded; the message says what to do."""


class DamagedFile(DatasetError):
    """A file of the copy is missing or is not what the manifest says."""

    def __init__(self, path: Path, *, expected: str, found: str) -> None:
        super().__init__(
            f"{path} is damaged: expected {expected}, found {found}; "
            "restore it from the repository (`git checkout -- service/dataset/files`) "
            "or make it again (`python -m service.dataset.make`)"
        )


class DamagedDatabase(DatasetError):
    """The database cannot be read, or it is not one that a load made."""

    def __init__(self, database: str, reason: str) -> None:
        super().__init__(f"{database} is damaged or is not a Flightdeck database: {reason}; {_FORCE}")


class DatabaseInUse(DatasetError):
    """The database that the load would replace is open in a running process."""

    def __init__(self, database: str) -> None:
        super().__init__(f"{database} is in use by a running process: stop it, then load again")


class KeptChanges(DatasetError):
    """A database of another version holds status updates that a new load would lose."""

    def __init__(self, database: str, changes: int) -> None:
        super().__init__(
            f"{database} was made by another version and holds {changes} status updates that a new load would lose; "
            f"{_FORCE} without them"
        )


class NoMigrations(DatasetError):
    """A migration was asked for where a load makes the databases again."""

    def __init__(self, database: str) -> None:
        super().__init__(f"{database} is embedded and needs no migration: `flightdeck data load` makes it again")


class ServerFailed(DatasetError):
    """The database server refused the load or was lost; it keeps what it had before."""

    def __init__(self, database: str, reason: str) -> None:
        super().__init__(f"{database}: {reason}; the database is as it was before")


class WrongContent(DatasetError):
    """What was loaded differs from the manifest; nothing was kept."""

    def __init__(self, differences: list[str]) -> None:
        super().__init__(f"the loaded data is wrong, nothing was kept: {'; '.join(differences)}")


class NotWritable(DatasetError):
    """The target cannot be written; nothing half-written is left."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"cannot write {path}: {reason}; nothing was kept. Free some space (a load needs about 400 MB) "
            "or choose another directory with --data-dir"
        )
