"""Programs of Go modules at the versions of `deploy/tools/go.mod`, and the files of modules."""

import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Final

from tests.servers.program import installed, missing

TOOLS: Final = Path(__file__).parents[2] / "deploy" / "tools"


@cache
def built(name: str) -> str:
    """Return the path of a tool, which Go builds once per machine; skip the test if it cannot, and fail it in CI."""
    command = [installed("go"), "-C", str(TOOLS), "tool", "-n", name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    if done.returncode:
        missing(f"{name} cannot be built: {done.stderr.strip()[-200:]}")
    return done.stdout.strip()


def module(path: str, version: str) -> Path:
    """Return the directory of a Go module's files; skip the test if it cannot be downloaded, and fail it in CI."""
    command = [installed("go"), "mod", "download", "-json", f"{path}@{version}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    if done.returncode:
        missing(f"{path} cannot be downloaded: {(done.stdout + done.stderr).strip()[-200:]}")
    return Path(json.loads(done.stdout)["Dir"])
