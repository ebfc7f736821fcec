"""Where an installed program is: the servers of the drills, and everything that the tests start."""

import os
from collections.abc import Sequence
from pathlib import Path
from shutil import which
from typing import Final

from lab.drills.run.errors import MissingExecutable

SYSTEM_DIRECTORIES: Final = ("/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin")
"""Debian keeps some servers in directories that are not on the PATH of ordinary users."""


def executable_path(name: str, *, package: str, directories: Sequence[str] = (), mode: int = os.F_OK | os.X_OK) -> str:
    """Return the path of an installed program; raise `MissingExecutable` with its Debian package.

    `directories` are searched first; they may contain wildcards, and the highest version wins. A file that is not a
    program, such as a module of a server, has another `mode`.
    """
    first = [
        str(directory)
        for pattern in directories
        for directory in sorted(Path("/").glob(pattern.lstrip("/")), reverse=True)
    ]
    path = which(name, mode=mode, path=os.pathsep.join([*first, os.environ.get("PATH", ""), *SYSTEM_DIRECTORIES]))
    if path is None:
        raise MissingExecutable(name, package)
    return path
