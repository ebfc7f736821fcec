"""A forked process is like a new interpreter: for the program in it, and for the process that started it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psutil
import pytest

from tests.servers import fork_server

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")

PROGRAM: Final = """
import atexit, json, os, signal, sys, threading

def later():
    threading.main_thread().join()
    print("a thread that the end waits for")

threading.Thread(target=later).start()
atexit.register(print, "the end")
seen = {
    "arguments": sys.argv[1:],
    "directory": os.getcwd(),
    "path": sys.path[0],
    "greeting": os.environ.get("GREETING"),
    "variables": len(os.environ),
    "input": sys.stdin.read(7),
    "is_session": os.getsid(0) == os.getpid(),
    "main": sys.modules["__main__"].__package__,
    "descriptors": len(os.listdir("/proc/self/fd")),
    "interrupt": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
    "warnings": sys.warnoptions,
}
print(json.dumps(seen), flush=True)
print("an error", file=sys.stderr)
exec(compile(os.environ["ENDS"], "ends", "exec"))  # of a text exec() remembers an interrupt, handled or not
"""
ENDS: Final = {
    "with a code": "sys.exit(7)",
    "with a message": "sys.exit('no thanks')",
    "with an exception": "raise ValueError('no such book')",
    "with an interrupt": "raise KeyboardInterrupt",
    "by a signal": "os.kill(os.getpid(), signal.SIGTERM)",
}
UVICORN: Final = (sys.executable, "-m", "uvicorn", "program:app")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "program.py").write_text(PROGRAM, "utf-8")
    return tmp_path


def is_forked(process_id: int) -> bool:
    return "tests.servers.fork_server" in psutil.Process(process_id).cmdline()


def run(directory: Path, *command: str, **options: Any) -> tuple[int, Any, list[str], str]:
    """Return the code, what the program saw, its other output, and the last line of its errors."""
    done = subprocess.run(
        command, cwd=directory, capture_output=True, text=True, timeout=60, check=False, input="read me", **options
    )
    seen, *others = done.stdout.splitlines()
    return done.returncode, json.loads(seen), others, done.stderr.splitlines()[-1]


@pytest.mark.parametrize("end", ENDS)
def test_a_fork_has_what_a_new_interpreter_has_and_ends_as_it_does(
    directory: Path, end: str, request: pytest.FixtureRequest
) -> None:
    options: dict[str, Any] = {
        "env": os.environ | {"GREETING": "hello", "ENDS": ENDS[end]},
        "start_new_session": end == "with a code",
    }
    forked = run(directory, *UVICORN, **options)
    request.getfixturevalue("new_interpreters")
    assert forked == run(directory, *UVICORN, **options)


@contextmanager
def waiting(directory: Path, *command: str, **variables: str) -> Iterator["subprocess.Popen[str]"]:
    """Run a program that says it has begun, until the end of the block."""
    environment = os.environ | {"ENDS": "signal.pause()"} | variables
    with subprocess.Popen(
        command, cwd=directory, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        process.stdin.write("read me")
        process.stdin.flush()
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(("name", "code"), [("SIGKILL", -9), ("SIGTERM", -15), ("SIGINT", 1)])
def test_a_fork_is_a_child_that_gets_signals(directory: Path, name: str, code: int) -> None:
    with waiting(directory, *UVICORN) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert is_forked(process.pid)
        assert psutil.Process(process.pid).ppid() == os.getpid()
        process.send_signal(signal.Signals[name])
        assert process.wait(60) == code, "uvicorn ends with 1 after an interrupt"


def test_the_guard_of_a_process_forks_it(directory: Path) -> None:
    guard = (sys.executable, "-m", *fork_server.GUARD, "--", *UVICORN)
    with waiting(directory, *guard, ENDS="signal.pause(); sys.exit(3)") as process:
        assert process.stdout is not None
        process.stdout.readline()
        (guarded,) = psutil.Process(process.pid).children()
        assert is_forked(guarded.pid)
        guarded.kill()
        assert process.wait(60) == 256 - signal.SIGKILL


@pytest.mark.parametrize(
    ("command", "variables"),
    [
        ((sys.executable, "-W", "error", *UVICORN[1:]), {}),
        ((sys.executable, "-c", "import program"), {}),
        (UVICORN, {"PYTHONHASHSEED": "1"}),
        (UVICORN, {"OTEL_PROPAGATORS": "b3"}),
    ],
    ids=["an option", "a text", "a variable of the interpreter", "a variable of a library"],
)
def test_what_is_decided_at_the_start_needs_a_new_interpreter(
    directory: Path, command: tuple[str, ...], variables: dict[str, str]
) -> None:
    with waiting(directory, *command, **variables) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert not is_forked(process.pid)


def test_nothing_that_runs_as_the_main_module_is_imported_before() -> None:
    names = {f"{command}.__main__" for command in fork_server.COMMANDS} | set(fork_server.GUARD)
    assert names.isdisjoint(fork_server.PRELOADED)
