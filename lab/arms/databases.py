"""The embedded databases of a run: shared where nobody writes, a copy of its own where somebody does."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

DATABASES: Final = ("flightdeck.db", "flightdeck-unindexed.db")
"""With secondary indexes, and without."""


def clone_databases(original: Path, directory: Path, *, written: str = "") -> None:
    """Give the directory both databases of the original one: links, but a copy of the one that is written."""
    for name in DATABASES:
        if name == written:
            with (
                closing(sqlite3.connect(original / name)) as source,
                closing(sqlite3.connect(directory / name)) as copy,
            ):
                source.backup(copy)
        else:
            (directory / name).symlink_to((original / name).resolve())
