"""Test the package with the lowest and the newest versions of everything it builds on, each in a fresh environment.

The lowest versions run on this Python, the newest on the newest one of the machine.

`make versions`, or `python -m tests.observability.compat.versions lowest` for one of them.
"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.observability.compat.environment import Environment

REPOSITORY: Final = Path(__file__).parents[3]
TESTS: Final = REPOSITORY / "tests" / "observability"

FILES: Final = (
    "test_instrument.py", "test_faults.py", "clients", "core", "database", "errors/test_reporter.py", "http", "request",
    "logs/test_logs.py", "tracing/test_tracing.py",
)  # fmt: skip
"""What touches other libraries; the whole suite would take many times as long."""

WITH_SERVERS: Final = ("database/test_asyncpg.py",)
"""Of these the tests of real servers, whose fixtures need packages of the service."""

TOOLS: Final = (
    *("pytest>=9", "pytest-timeout>=2.4", "hypothesis>=6.150"),
    *("aiosqlite>=0.22", "brotli>=1.2", "greenlet>=3.2", "httptools>=0.7", "websockets>=15", "wsproto>=1.2"),
)

RESOLUTIONS: Final = {"lowest": "lowest-direct", "newest": "highest"}

NEWER_PYTHON: Final = ">=3.12,<3.15"

LOST: Final = {
    "built_before_the_first_request": "FastAPI builds routes at the first request from 0.137 on",
    "own_telemetry_is_switched_off": "FastAPI has telemetry of its own from 0.142 on",
    "fastapis_operations": "FastAPI traces operations from 0.142 on",
    "validation_failure_is_an_event": "FastAPI logs validation failures from 0.142 on",
    "(mount and included)": "FastAPI includes no mounts until 0.136",
    "teardown": "FastAPI sends a response after the teardown of its dependencies until 0.117",
    "test_records_are_exported_once_and_under_their_trace": "logs of older OpenTelemetry SDKs are not exported",
    "websockets-sansio": "uvicorn has this protocol from 0.35 on",
    "raises_itself": "older releases of uvicorn keep a connection open after its application has returned",
    "test_a_frontend_is_one_handler": "FastAPI serves no frontend until 0.138",
    "documented_differences": "older releases of the official libraries differ in other ways than those documented",
    "http://test/items": "older OpenTelemetry adds the port None to the URL of a request without one",
    "test_the_import_loads": "packages of older OpenTelemetry import more",
}
"""Tests of what the lowest versions lack, as an expression for `-k`, and why."""


def newest_python() -> str:
    """Return this interpreter from 3.12 on, else the newest of this machine; nothing is downloaded."""
    if sys.version_info >= (3, 12):
        return sys.executable
    command = [sys.executable, "-m", "uv", "python", "find", "--no-python-downloads", "--system", NEWER_PYTHON]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return found.stdout.strip() or sys.executable


def run(versions: str) -> int:
    """Make an environment with these versions, run the tests in it and return their exit code."""
    with TemporaryDirectory() as directory:
        environment = Environment(
            Path(directory), interpreter=newest_python() if versions == "newest" else sys.executable
        )
        package = ("--requirements", REPOSITORY / "observability" / "pyproject.toml", "--all-extras")
        environment.install("--resolution", RESOLUTIONS[versions], *package, *TOOLS)
        skipped = " or ".join(LOST) if versions == "lowest" else ""
        command: list[str | Path] = [
            environment.python,
            "-m",
            "pytest",
            "-q",
            "-c",
            TESTS / "compat" / "pytest.ini",
            "-p",
            "no:cacheprovider",
        ]
        without = ["-k", f"not ({skipped})"] if skipped else []
        files: list[str | Path] = [
            *(TESTS / file for file in FILES),
            *(f"--ignore={TESTS / file}" for file in WITH_SERVERS),
        ]
        tests = subprocess.run(
            [*command, *without, *files],
            check=False,
            cwd=REPOSITORY,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    sys.stdout.write(f"With the {versions} versions:\n{tests.stdout}")
    return tests.returncode


if __name__ == "__main__":
    with ThreadPoolExecutor() as pool:  # one core each
        sys.exit(max(pool.map(run, sys.argv[1:] or RESOLUTIONS)))
