"""Where the servers are that drills run."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lab.drills.run.errors import MissingProgram

PLACES: Final = ("/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin")
"""Debian keeps some servers off the path of ordinary users."""


def program(name: str, *, package: str, places: Sequence[str] = ()) -> str:
    """Return the path of an installed program; raise `MissingProgram` naming its Debian package."""
    folders = [
        str(folder)
        for place in (*PLACES, *places)
        for folder in sorted(Path("/").glob(place.lstrip("/")), reverse=True)
    ]
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *folders]))
    if found is None:
        raise MissingProgram(name, package)
    return found
