"""Where a real server's program is; tests that need one skip with what to install, and fail in CI."""

import os
import shutil
import socket
from collections.abc import Sequence
from pathlib import Path

import pytest

# Debian keeps some servers off the PATH of ordinary users.
PLACES = ("/usr/sbin", "/usr/local/sbin", "/usr/lib/postgresql/*/bin", "/usr/lib/rabbitmq/bin")


def executable(name: str, *, package: str, places: Sequence[str] = PLACES) -> Path:
    """Return the program's path; skip the test if it is missing, naming the Debian package, or fail in CI."""
    found = shutil.which(name)
    if found:
        return Path(found)
    for place in places:
        for folder in sorted(Path("/").glob(place.lstrip("/")), reverse=True):
            if os.access(folder / name, os.X_OK):
                return folder / name
    missing = f"{name} is not installed; on Debian: apt-get install {package}"
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)


def free_port() -> int:
    """Return a TCP port on loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
