"""Lets the tests' processes be forks of one that has imported everything, where the platform can: on Linux."""

import ctypes
import socket
import subprocess
import sys
from _posixsubprocess import fork_exec
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import Any, Final

import pytest

from tests.servers.fork_server import Start, streams

ROOT: Final = Path(__file__).parents[2]
PR_SET_CHILD_SUBREAPER: Final = 36


class ForkServer:
    """The server of this test process; it starts with the first command."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None
        self._prctl = ctypes.CDLL(None).prctl

    def fork_exec(self, *call: Any) -> int:
        """Start a process as `_posixsubprocess.fork_exec` does, and return its id."""
        start = Start.of(call)
        if start is None:
            return fork_exec(*call)
        with self._lock:
            connection = self._connected()
            # The new process becomes a child of this one, because its parent ends and this one adopts orphans.
            self._prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
            try:
                socket.send_fds(connection, [start.encode()], streams(call))
                reply = connection.recv(32)
            finally:
                self._prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
        if not reply:
            raise RuntimeError("the fork server has ended; its error is above")
        return int(reply)

    def close(self) -> None:
        """End the server."""
        if self._connection is not None and self._process is not None:
            self._connection.close()
            self._process.wait(60)

    def _connected(self) -> socket.socket:
        if self._connection is None:
            self._connection, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
            command = [sys.executable, "-m", "tests.servers.fork_server", str(theirs.fileno())]
            with theirs:
                self._process = subprocess.Popen(
                    command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
                )
        return self._connection


@pytest.fixture(scope="session", autouse=True)
def forked_processes() -> Iterator[None]:
    """Fork what can be; elsewhere every process is a new interpreter."""
    if sys.platform != "linux":
        yield
        return
    server = ForkServer()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("subprocess._fork_exec", server.fork_exec)
        yield
    server.close()


@pytest.fixture
def new_interpreters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start every process as a new interpreter: for tests of the start itself."""
    monkeypatch.setattr("subprocess._fork_exec", fork_exec)
