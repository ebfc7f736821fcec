"""Copies of the embedded databases, for arms that write to them and for sweeps that change them."""

import os
import sqlite3
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Final

from lab.arms.process import SupervisedProcess

DATABASES: Final = ("flightdeck.db", "flightdeck-unindexed.db")
"""With secondary indexes, and without."""
PAUSE: Final = (sys.executable, "-c", "import signal; signal.pause()")


def clone_databases(original: Path, directory: Path, *, written: str = "") -> None:
    """Link both databases into the directory; copy the one that is written."""
    for name in DATABASES:
        if name == written:
            with (
                closing(sqlite3.connect(original / name)) as source,
                closing(sqlite3.connect(directory / name)) as copy,
            ):
                source.backup(copy)
        else:
            (directory / name).symlink_to((original / name).resolve())


@asynccontextmanager
async def scratch_directory(data_dir: Path) -> AsyncIterator[Path]:
    """Yield an empty directory on the file system of the data directory.

    It is removed at the end of the context, and by its process guard if this process is killed.
    """
    directory = Path(tempfile.mkdtemp(prefix="lab-", dir=data_dir))
    keeper = SupervisedProcess("scratch directory")
    try:
        await keeper.start(PAUSE, environment=os.environ, remove=directory)
        yield directory
    finally:
        await keeper.stop()
