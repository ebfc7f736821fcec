"""Programs that are built from their Go modules, once per machine."""

import os
import subprocess
from pathlib import Path

from tests.servers.program import installed, missing

CACHE = Path.home() / ".cache/flightdeck/go"


def built(package: str, version: str) -> str:
    """Return the path of the program of a Go package; skip the test if it cannot be built, and fail it in CI."""
    go = installed("go")
    parts = package.split("/")
    name = parts[-2] if parts[-1].startswith("v") and parts[-1][1:].isdigit() else parts[-1]
    directory = CACHE / name / version
    if not (directory / name).exists():
        environment = os.environ | {"GOBIN": str(directory), "GOFLAGS": "-mod=mod"}
        command = [go, "install", f"{package}@{version}"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280, check=False)
        if done.returncode:
            missing(f"{name} cannot be built: {done.stderr.strip()[-200:]}")
    return str(directory / name)
