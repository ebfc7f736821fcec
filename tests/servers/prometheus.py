"""Real Prometheus servers and promtool, started by the tests on free ports."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.servers.executable import executable


@pytest.fixture(scope="session")
def promtool() -> Callable[..., str]:
    """Return a function that runs promtool with arguments and returns what it prints; it fails the test on an error."""
    program = executable("promtool", package="prometheus")

    def run(*arguments: str | Path) -> str:
        done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=100, check=False)
        said = "\n".join(line for line in (done.stdout + done.stderr).splitlines() if line)
        if done.returncode:
            pytest.fail(said)
        return said

    return run
