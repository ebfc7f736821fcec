"""A real Redis on a free port, which a test may stop, start and freeze."""

import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.port import free_port
from tests.servers.program import installed


class RedisServer:
    """A Redis with a directory of its own; what it holds survives `stop` and `start`."""

    def __init__(self, program: str, directory: Path) -> None:
        self._program = program
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start the server; return when it responds."""
        options = {
            "port": self.port,
            "bind": "127.0.0.1",
            "dir": self._directory,
            "save": "3600 1",
            "loglevel": "warning",
        }
        command = [self._program, *(part for name, value in options.items() for part in (f"--{name}", str(value)))]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not self._responds():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("redis-server did not start")
            time.sleep(0.01)

    def stop(self) -> None:
        """Stop the server; it writes what it holds to disk."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            self._process.wait(timeout=60)
            self._process = None

    def freeze(self) -> None:
        """Keep its connections open and do not respond."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Continue, also with the requests received meanwhile."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None:
            raise RuntimeError("redis-server is not running")
        self._process.send_signal(number)

    def _responds(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False


@pytest.fixture(scope="session", autouse=True)
def a_minute_for_redis() -> Iterator[None]:
    """Let the service's clients wait for a Redis that responds: after a part of a second they count it as down.

    Tests of a Redis that hangs set the timeouts themselves.
    """
    with pytest.MonkeyPatch.context() as patch:
        for module in ("service.cache.redis.client", "service.api.rate_limit"):
            patch.setattr(f"{module}.RESPONSE_TIMEOUT_S", 30.0)
        patch.setattr("service.cache.redis.subscription.HEARTBEAT_S", 30.0)
        yield


@pytest.fixture(scope="session")
def redis_program() -> str:
    """Where `redis-server` is; the test is skipped without it."""
    return installed("redis-server")


@pytest.fixture(scope="session")
def shared_redis(redis_program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis for tests that leave it running; each uses a namespace of its own."""
    server = RedisServer(redis_program, tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own_redis(redis_program: str, tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that the test may stop, start and freeze."""
    server = RedisServer(redis_program, tmp_path)
    server.start()
    yield server
    server.stop()
