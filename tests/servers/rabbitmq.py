"""A real RabbitMQ for tests: its own ports, names and directories keep it apart from any other."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.servers.port import free_port
from tests.servers.program import PACKAGES, installed

START_DEADLINE_S = 60.0


@dataclass
class RabbitServer:
    """One RabbitMQ node in its directory, on its port of 127.0.0.1."""

    directory: Path
    port: int = field(default_factory=free_port)
    epmd_port: int = field(default_factory=free_port)
    dist_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL for clients."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def start(self) -> None:
        """Start the node and wait until it takes connections."""
        log = self.directory / "server.log"
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [installed("rabbitmq-server")],
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_DEADLINE_S
        while not self._responds():
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"RabbitMQ does not start:\n{log.read_text()}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop the node; what its queues hold stays in its directory."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(60)
            self.process = None

    def freeze(self) -> None:
        """Keep its connections open and do not respond."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Continue."""
        self._signal(signal.SIGCONT)

    def remove(self) -> None:
        """Stop the node and its port mapper."""
        self.stop()
        subprocess.run([installed("epmd"), "-port", str(self.epmd_port), "-kill"], capture_output=True, check=False)

    def _responds(self) -> bool:
        """Whether it begins an AMQP connection, which it does last; `rabbitmqctl` takes a second to find out."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
                connection.sendall(b"AMQP\x00\x00\x09\x01")
                return bool(connection.recv(1))
        except OSError:
            return False

    def _signal(self, number: signal.Signals) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, number)  # the node, and the shell that may have started it

    @property
    def _node(self) -> str:
        return f"flightdeck-{self.port}@localhost"

    def _environment(self) -> dict[str, str]:
        folder = str(self.directory)
        return {
            "PATH": os.environ["PATH"],
            "HOME": folder,
            "RABBITMQ_NODENAME": self._node,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self.dist_port),
            "RABBITMQ_MNESIA_BASE": f"{folder}/data",
            "RABBITMQ_LOG_BASE": f"{folder}/log",
            "RABBITMQ_PID_FILE": f"{folder}/pid",
            "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/enabled_plugins",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1",
            "ERL_EPMD_PORT": str(self.epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "LANG": "C.UTF-8",
        }


@contextmanager
def running_rabbitmq() -> Iterator[RabbitServer]:
    """Yield a running node."""
    for name in PACKAGES["rabbitmq-server"]:
        installed(name)
    directory = Path(tempfile.mkdtemp(prefix="flightdeck-rabbitmq-"))
    server = RabbitServer(directory)
    try:
        server.start()
        yield server
    finally:
        server.remove()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[RabbitServer]:
    """A RabbitMQ for all tests; one that stops it starts it again."""
    with running_rabbitmq() as server:
        yield server
