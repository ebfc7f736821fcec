"""A directory for copies of the databases that outlives nobody: not the context, and not this process."""

import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from lab.arms.process import SupervisedProcess

WAITING: Final = (sys.executable, "-c", "import signal; signal.pause()")
"""Ends with this process, however that ends; its tether then removes the directory."""


@asynccontextmanager
async def scratch(data_dir: Path) -> AsyncIterator[Path]:
    """Give an empty directory inside the data directory, on the same file system."""
    directory = Path(tempfile.mkdtemp(prefix="lab-", dir=data_dir))
    keeper = SupervisedProcess("what removes the copies")
    try:
        await keeper.start(WAITING, environment=os.environ, remove=directory)
        yield directory
    finally:
        await keeper.stop()
