"""One load at a time per directory."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.dataset.progress import Progress


@contextmanager
def locked(directory: Path, progress: Progress) -> Iterator[None]:
    """Hold the directory for one load; wait, and say so, while another load holds it.

    The lock is on the directory itself: no file is left, and the kernel ends it with the process.
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
