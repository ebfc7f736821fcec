"""A real PostgreSQL for tests: a primary, its streaming replica, and a database for each test."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
from sqlalchemy import URL

from service.core.database_url import parsed, unindexed_twin
from service.dataset.server import PostgresTarget
from service.dataset.source import Source
from tests.servers.port import free_port
from tests.servers.program import installed
from tests.servers.progress import NullProgress

START_DEADLINE_S = 60.0
OWNER = "postgres" if os.geteuid() == 0 else None
"""The user of the servers: PostgreSQL does not run as root."""
# Tests need no durability. The kept log lets a replica catch up whatever checkpoints removed while it was behind.
FAST = {
    "fsync": "off",
    "synchronous_commit": "on",
    "full_page_writes": "off",
    "max_connections": "60",
    "wal_keep_size": "1GB",
}


@dataclass
class PostgresServer:
    """One PostgreSQL process on its data directory and its port of 127.0.0.1."""

    directory: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    copies: int = 0
    """How many databases were created for tests."""

    def start(self) -> None:
        """Start it and wait until it responds."""
        options = {"port": str(self.port), "listen_addresses": "127.0.0.1", "unix_socket_directories": "", **FAST}
        arguments = [argument for name, value in options.items() for argument in ("-c", f"{name}={value}")]
        command = [installed("postgres"), "-D", str(self.directory), *arguments]
        with (self.directory.parent / f"{self.directory.name}.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, user=OWNER, group=OWNER)
        deadline = time.monotonic() + START_DEADLINE_S
        ready = [installed("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        while subprocess.run(ready, check=False).returncode:
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"PostgreSQL does not start:\n{Path(log.name).read_text()}")
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT ends the connections, SIGQUIT crashes."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait()
            self.process = None

    def freeze(self) -> None:
        """Suspend its processes; connections stay open."""
        for process in self._processes():
            with suppress(psutil.NoSuchProcess):  # a backend ends when its client goes
                process.suspend()

    def thaw(self) -> None:
        """Resume its processes."""
        for process in self._processes():
            with suppress(psutil.NoSuchProcess):
                process.resume()

    def _processes(self) -> list[psutil.Process]:
        if self.process is None:
            return []
        postmaster = psutil.Process(self.process.pid)
        return [postmaster, *postmaster.children(recursive=True)]

    def url(self, database: str) -> URL:
        """Return the address of one of its databases."""
        return parsed(f"postgresql://postgres@127.0.0.1:{self.port}/{database}")

    def run(self, *statements: str, database: str = "postgres") -> str:
        """Run statements as the superuser, each in a transaction of its own; return the rows as text."""
        psql = [installed("psql"), "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres"]
        commands = [word for statement in statements for word in ("-c", statement)]
        return subprocess.run(
            [*psql, "-d", database, "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", *commands],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()


@contextmanager
def server_directory() -> Iterator[Path]:
    """Yield a directory that the server's user may use; pytest's own is closed to it."""
    directory = Path(tempfile.mkdtemp(prefix="flightdeck-postgres-"))
    try:
        if OWNER:
            shutil.chown(directory, OWNER, OWNER)
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def a_minute_for_postgres() -> Iterator[None]:
    """Let polls wait for a PostgreSQL that responds: after a second they count it as down.

    Tests of a server that hangs set the timeout themselves.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("service.database.postgres.MONITOR_TIMEOUT_S", 60.0)
        patch.setattr("service.database.replica.LOOKUP_TIMEOUT_S", 60.0)
        yield


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A running primary that other servers may follow."""
    with server_directory() as directory:
        data = directory / "primary"
        command = [
            installed("initdb"),
            "-D",
            str(data),
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        ]
        subprocess.run(command, check=True, capture_output=True, user=OWNER, group=OWNER)
        server = PostgresServer(data)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def replica_of(primary: PostgresServer) -> Iterator[PostgresServer]:
    """Yield a running streaming replica of a running primary."""
    with server_directory() as directory:
        data = directory / "replica"
        backup = [installed("pg_basebackup"), "-D", str(data), "-R", "-X", "stream"]
        source = ["--checkpoint=fast", "--no-sync", "-d", f"host=127.0.0.1 port={primary.port} user=postgres"]
        subprocess.run([*backup, *source], check=True, capture_output=True, user=OWNER, group=OWNER)
        server = PostgresServer(data)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def postgres_template(postgres_server: PostgresServer, few_files: Path) -> str:
    """The name of a database with the flights of four days; its twin has the suffix of twins."""
    url = postgres_server.url("few")
    PostgresTarget(indexed=url, unindexed=unindexed_twin(url)).load(Source(few_files), NullProgress())
    return "few"


@pytest.fixture
def postgres_url(postgres_server: PostgresServer, postgres_template: str) -> Iterator[URL]:
    """The address of a database with the flights of four days that the test may change; it has its twin beside it."""
    postgres_server.copies += 1
    url = postgres_server.url(f"copy_{postgres_server.copies}")
    names = {postgres_template: url.database, f"{postgres_template}_unindexed": unindexed_twin(url).database}
    copies = (f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy" for template, name in names.items())
    postgres_server.run(*copies)
    yield url
    postgres_server.run(*(f"DROP DATABASE {name} WITH (FORCE)" for name in names.values()))


@pytest.fixture(scope="session")
def postgres_replica(postgres_server: PostgresServer) -> Iterator[PostgresServer]:
    """A running streaming replica of the primary."""
    with replica_of(postgres_server) as server:
        yield server
