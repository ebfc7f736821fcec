"""The errors of reading and loading the data set.

DatasetError
├── DamagedFile         a file of the copy does not match the manifest
├── DamagedDatabase     the database cannot be read or holds something else
├── DatabaseInUse       a running process has the database open
├── KeptChanges         a database of another version holds status updates
├── NoMigrations        embedded databases are loaded again instead
├── ServerFailed        the database server returned an error, or the connection was lost
├── WrongContent        the loaded data does not match the manifest
└── NotWritable         the target directory or disk is not writable
"""

from pathlib import Path

_FORCE = "`flightdeck data load --force` loads it again"


class DatasetError(Exception):
    """The data set cannot be read or loaded; the message says what to do."""


class DamagedFile(DatasetError):
    def __init__(self, path: Path, *, expected: str, found: str) -> None:
        super().__init__(
            f"{path} is damaged: expected {expected}, found {found}; "
            "restore it from the repository (`git checkout -- service/dataset/files`) "
            "or create it again (`python -m service.dataset.make`)"
        )


class DamagedDatabase(DatasetError):
    def __init__(self, database: str, reason: str) -> None:
        super().__init__(f"{database} is damaged or is not a Flightdeck database: {reason}; {_FORCE}")


class DatabaseInUse(DatasetError):
    def __init__(self, database: str) -> None:
        super().__init__(f"{database} is in use by a running process: stop the process, then load again")


class KeptChanges(DatasetError):
    def __init__(self, database: str, changes: int) -> None:
        super().__init__(
            f"{database} is of another version and holds {changes} status updates that a new load would lose; "
            f"{_FORCE} without them"
        )


class NoMigrations(DatasetError):
    def __init__(self, database: str) -> None:
        super().__init__(f"{database} is embedded and needs no migration: `flightdeck data load` loads it again")


class ServerFailed(DatasetError):
    def __init__(self, database: str, reason: str) -> None:
        super().__init__(f"{database}: {reason}; the database is unchanged")


class WrongContent(DatasetError):
    def __init__(self, differences: list[str]) -> None:
        super().__init__(f"the loaded data is wrong and was discarded: {'; '.join(differences)}")


class NotWritable(DatasetError):
    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"cannot write {path}: {reason}; nothing was written. Free some space (a load needs about 400 MB) "
            "or choose another directory with --data-dir"
        )
