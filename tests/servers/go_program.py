"""Programs that are built from their Go modules, once per machine, and the files of modules."""

import json
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


def module(path: str, version: str) -> Path:
    """Return the directory of a Go module's files; skip the test if it cannot be downloaded, and fail it in CI."""
    command = [installed("go"), "mod", "download", "-json", f"{path}@{version}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    if done.returncode:
        missing(f"{path} cannot be downloaded: {(done.stdout + done.stderr).strip()[-200:]}")
    return Path(json.loads(done.stdout)["Dir"])
