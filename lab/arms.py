"""Arms as child processes: started on free ports, waited for, watched, and ended with whoever started them."""

import asyncio
import os
import shutil
import signal
import socket
import sqlite3
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from lab.errors import ArmFailed
from lab.scrape import Snapshot

START_S: Final = 30.0
"""How long an arm may take until it is ready."""
STOP_S: Final = 5.0
POLL_S: Final = 0.05
SERVE: Final = (sys.executable, "-m", "flightdeck", "serve")
OWN_VARIABLES: Final = frozenset({"TECHNIQUES", "ARM", "OTEL_EXPORTER_PROMETHEUS_PORT", "WRITE_TOKEN", "DATA_DIR"})
"""What the lab sets for every arm; the rest of the environment is passed on."""
LOG_BYTES: Final = 8192
"""Read of an arm's log when it failed."""
DATABASES: Final = ("flightdeck.db", "flightdeck-unindexed.db")


@dataclass(frozen=True, kw_only=True)
class ArmSpec:
    """What to start: a name, its techniques, and settings that differ from the environment's."""

    name: str
    techniques: frozenset[str]
    settings: Mapping[str, str] = field(default_factory=dict)

    def environment(self, *, metrics_port: int, data_dir: Path, token: str) -> dict[str, str]:
        """Return the environment of the arm's process."""
        inherited = {name: value for name, value in os.environ.items() if name not in OWN_VARIABLES}
        return (
            inherited
            | {
                "TECHNIQUES": ",".join(sorted(self.techniques)) or "none",
                "ARM": self.name,
                "OTEL_EXPORTER_PROMETHEUS_PORT": str(metrics_port),
                "OTEL_EXPORTER_PROMETHEUS_HOST": "127.0.0.1",
                "WRITE_TOKEN": token,
                "DATA_DIR": str(data_dir),
            }
            | dict(self.settings)
        )


class Arm:
    """One running service process."""

    def __init__(
        self, spec: ArmSpec, *, data_dir: Path, token: str, writes: bool, command: Sequence[str] = SERVE
    ) -> None:
        self.spec = spec
        self.token = token
        self._data_dir = data_dir
        self._writes = writes
        self._command = command
        self._process: asyncio.subprocess.Process | None = None
        self._copies: Path | None = None
        self._log_file = tempfile.TemporaryFile()  # noqa: SIM115 closed by `stop`
        self._client = httpx.AsyncClient(timeout=5.0)
        self.url = self.metrics_url = ""

    @property
    def name(self) -> str:
        """The arm's name in metrics, tables and reports."""
        return self.spec.name

    async def start(self) -> None:
        """Start the process and wait until it is ready; whoever calls this calls `stop` in every case."""
        if self._writes:
            self._copies = Path(tempfile.mkdtemp(prefix="lab-", dir=self._data_dir))
            await asyncio.to_thread(self._copy_databases, self._copies)
        port, metrics_port = free_ports(2)
        self.url = f"http://127.0.0.1:{port}"
        self.metrics_url = f"http://127.0.0.1:{metrics_port}/metrics"
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "lab.tether", *(("--remove", str(self._copies)) if self._copies else ()), "--"),
            *(*self._command, "--host", "127.0.0.1", "--port", str(port)),
            stdin=asyncio.subprocess.PIPE,
            stdout=self._log_file,
            stderr=self._log_file,
            env=self.spec.environment(
                metrics_port=metrics_port, data_dir=self._copies or self._data_dir, token=self.token
            ),
            start_new_session=True,  # Ctrl-C is for the lab, which ends its arms in order
        )
        await self._wait_until_ready()

    def check(self) -> None:
        """Raise `ArmFailed` if the process has ended."""
        if self._process is not None and self._process.returncode is not None:
            raise ArmFailed(self.name, f"ended with code {self._process.returncode}", self._log())

    async def snapshot(self) -> Snapshot:
        """Return the arm's metrics now; raise `ArmFailed` where it does not give them."""
        self.check()
        try:
            return Snapshot.parse((await self._client.get(self.metrics_url)).raise_for_status().text)
        except httpx.HTTPError as error:
            raise ArmFailed(self.name, f"does not give its metrics ({error!r})", self._log()) from error

    async def stop(self) -> None:
        """End the process, then what it left; nothing to do where it never started."""
        process, self._process = self._process, None
        if process is not None:
            if process.stdin is not None:
                process.stdin.close()  # the tether
            try:
                async with asyncio.timeout(STOP_S):
                    await process.wait()
            except TimeoutError:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        if self._copies is not None:
            shutil.rmtree(self._copies, ignore_errors=True)
        self._log_file.close()
        await self._client.aclose()

    async def _wait_until_ready(self) -> None:
        try:
            async with asyncio.timeout(START_S):
                while not await self._is_ready():
                    self.check()
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            raise ArmFailed(self.name, f"was not ready after {START_S:.0f} s", self._log()) from None

    async def _is_ready(self) -> bool:
        try:
            ready = await self._client.get(f"{self.url}/readyz")
            metrics = await self._client.get(self.metrics_url)
        except httpx.TransportError:
            return False
        return ready.is_success and metrics.is_success

    def _copy_databases(self, directory: Path) -> None:
        """Give the arm a database of its own, so that nobody else sees its writes; the other one it never writes."""
        own, other = DATABASES if "indexes" in self.spec.techniques else DATABASES[::-1]
        with (
            closing(sqlite3.connect(self._data_dir / own)) as original,
            closing(sqlite3.connect(directory / own)) as copy,
        ):
            original.backup(copy)
        (directory / other).symlink_to((self._data_dir / other).resolve())

    def _log(self) -> str:
        size = os.fstat(self._log_file.fileno()).st_size
        return os.pread(self._log_file.fileno(), LOG_BYTES, max(0, size - LOG_BYTES)).decode(errors="replace")


@asynccontextmanager
async def running(arms: Sequence[Arm]) -> AsyncIterator[Sequence[Arm]]:
    """Start the arms at the same time and end them all, whatever happens; raise `ArmFailed` if one does not start."""
    try:
        async with asyncio.TaskGroup() as starting:
            for arm in arms:
                starting.create_task(arm.start())
        yield arms
    except ExceptionGroup as group:
        failed = next((error for error in group.exceptions if isinstance(error, ArmFailed)), None)
        if failed is None:
            raise
        raise failed from None
    finally:
        await asyncio.gather(*(arm.stop() for arm in arms))


def free_ports(count: int) -> list[int]:
    """Return loopback ports that were free a moment ago, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()
