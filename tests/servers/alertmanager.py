"""Real Alertmanagers and amtool, started by the tests on free ports."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.servers.executable import executable


@pytest.fixture(scope="session")
def amtool() -> Callable[..., str]:
    """Return a function that runs amtool with arguments and returns what it prints; it fails the test on an error."""
    program = executable("amtool", package="prometheus-alertmanager")

    def run(*arguments: str | Path) -> str:
        done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=30, check=False)
        if done.returncode:
            pytest.fail(done.stdout + done.stderr)
        return done.stdout

    return run
