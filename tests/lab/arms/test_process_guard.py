"""Whatever happens to the starter, nothing that it started stays."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.polling import eventually

SLEEPER = "import os, sys, time; print(os.getpid(), flush=True); time.sleep(600)"
DEAF_SLEEPER = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEPER
STARTER = """
import subprocess, sys, time
child = subprocess.Popen([
    sys.executable, "-m", "lab.arms.process_guard", "--remove", sys.argv[1], "--", sys.executable, "-c",
                          sys.argv[2]], stdin=subprocess.PIPE)
time.sleep(600)
"""


@pytest.mark.parametrize("command", [SLEEPER, DEAF_SLEEPER], ids=["willing", "deaf to SIGTERM"])
def test_a_starter_that_is_killed_leaves_neither_process_nor_directory(tmp_path: Path, command: str) -> None:
    directory = tmp_path / "copies"
    directory.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", STARTER, str(directory), command], stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        assert psutil.pid_exists(pid)
        starter.kill()
        eventually(lambda: not psutil.pid_exists(pid))
        eventually(lambda: not directory.exists())


def test_closing_its_input_ends_the_command() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "lab.arms.process_guard", "--", sys.executable, "-c", SLEEPER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as guard:
        assert guard.stdin is not None
        assert guard.stdout is not None
        pid = int(guard.stdout.readline())
        guard.stdin.close()
        guard.wait(60)
        assert not psutil.pid_exists(pid)


def test_the_commands_exit_code_is_passed_on() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "lab.arms.process_guard", "--", sys.executable, "-c", "raise SystemExit(7)"],
        stdin=subprocess.PIPE,
    ) as guard:
        assert guard.wait(60) == 7
