"""Arms as child processes on free ports, which end with the process that started them."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from lab.arms.databases import DATABASES, clone_databases
from lab.arms.ports import free_ports
from lab.arms.process import SupervisedProcess
from lab.core.command import FLIGHTDECK
from lab.core.errors import ArmFailed
from lab.core.snapshot import Snapshot

UNLIMITED: Final = {"MAX_CONCURRENT_REQUESTS": "0", "WRITE_RATE_LIMIT": "none", "EXPORT_RATE_LIMIT": "none"}
"""Without limits, because rejected requests would bias the comparison; an arm's own settings take precedence."""
START_S: Final = 60.0
"""Time limit for an arm to become ready."""
POLL_S: Final = 0.05
OWN_VARIABLES: Final = frozenset({"TECHNIQUES", "ARM", "OTEL_EXPORTER_PROMETHEUS_PORT", "WRITE_TOKEN", "DATA_DIR"})
"""Set by the lab for every arm; the rest of the environment is inherited."""


@dataclass(frozen=True, kw_only=True)
class ArmSpec:
    name: str
    techniques: frozenset[str]
    settings: Mapping[str, str] = field(default_factory=dict)
    """Override the environment."""
    has_worker: bool = False
    """Whether the arm gets a Celery worker."""

    def environment(self, *, metrics_port: int, data_dir: Path, token: str) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if name not in OWN_VARIABLES}
        own = {
            "TECHNIQUES": ",".join(sorted(self.techniques)) or "none",
            "ARM": self.name,
            "OTEL_EXPORTER_PROMETHEUS_PORT": str(metrics_port),
            "OTEL_EXPORTER_PROMETHEUS_HOST": "127.0.0.1",
            "WRITE_TOKEN": token,
            "DATA_DIR": str(data_dir),
        }
        return inherited | own | UNLIMITED | dict(self.settings)


class Arm:
    """One service process, with a worker if its specification has one."""

    def __init__(
        self,
        spec: ArmSpec,
        *,
        data_dir: Path,
        token: str,
        writes: bool,
        command: Sequence[str] = (*FLIGHTDECK, "serve"),
    ) -> None:
        self.spec = spec
        self.token = token
        self.url = self.metrics_url = self.worker_metrics_url = ""
        self._data_dir = data_dir
        self._writes = writes
        self._command = command
        self._process = SupervisedProcess(spec.name)
        self._worker = SupervisedProcess(f"worker of {spec.name}")
        self._copies: Path | None = None
        self._read_cpu_s = 0.0
        self._client = httpx.AsyncClient(timeout=10.0)

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def pids(self) -> list[int]:
        """Ids of the running processes: of the service, then of its worker."""
        return [own.pid for own in (self._process.own, self._worker.own) if own is not None]

    async def start(self) -> None:
        """Start the process and wait until it is ready; the caller calls `stop` even if this fails."""
        if self._writes:
            self._copies = Path(tempfile.mkdtemp(prefix="lab-", dir=self._data_dir))
            own = DATABASES[0] if "indexes" in self.spec.techniques else DATABASES[1]
            await asyncio.to_thread(clone_databases, self._data_dir, self._copies, written=own)
        port, metrics_port, worker_port = free_ports(3)
        self.url = f"http://127.0.0.1:{port}"
        self.metrics_url = f"http://127.0.0.1:{metrics_port}/metrics"
        self.worker_metrics_url = f"http://127.0.0.1:{worker_port}/metrics"
        data_dir = self._copies or self._data_dir
        await self._process.start(
            (*self._command, "--host", "127.0.0.1", "--port", str(port)),
            environment=self.spec.environment(metrics_port=metrics_port, data_dir=data_dir, token=self.token),
            remove=self._copies,
        )
        if self.spec.has_worker and "task_queue" in self.spec.techniques:
            await self._worker.start(
                (*FLIGHTDECK, "worker"),
                environment=self.spec.environment(metrics_port=worker_port, data_dir=data_dir, token=self.token),
            )
        await self._wait_until_ready()

    def check(self) -> None:
        """Raise `ArmFailed` if a process has ended."""
        self._process.check()
        self._worker.check()

    async def snapshot(self) -> Snapshot:
        """Return the arm's metrics now; raise `ArmFailed` if they cannot be read.

        CPU time is that of the process's clock: more precise than its metric, and without the reading of metrics.
        """
        self.check()
        before_s = self._process.cpu_s()
        try:
            snapshot = Snapshot.parse((await self._client.get(self.metrics_url)).raise_for_status().text)
        except httpx.HTTPError as error:
            raise self._process.failure(f"does not serve its metrics ({error!r})") from error
        after_s = self._process.cpu_s()
        if before_s is not None and after_s is not None:
            snapshot = snapshot.replaced("process_cpu_seconds_total", before_s - self._read_cpu_s)
            self._read_cpu_s += after_s - before_s
        return snapshot

    async def stop(self) -> None:
        """Stop the processes, then remove the copies of the databases."""
        await asyncio.gather(self._process.stop(), self._worker.stop())
        if self._copies is not None:
            shutil.rmtree(self._copies, ignore_errors=True)
        await self._client.aclose()

    async def _wait_until_ready(self) -> None:
        try:
            async with asyncio.timeout(START_S):
                while not await self._is_ready():
                    self.check()
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            raise self._process.failure(f"was not ready after {START_S:.0f} s") from None

    async def _is_ready(self) -> bool:
        try:
            ready = await self._client.get(f"{self.url}/readyz")
            metrics = await self._client.get(self.metrics_url)
        except httpx.TransportError:
            return False
        return ready.is_success and metrics.is_success


@asynccontextmanager
async def running(arms: Sequence[Arm]) -> AsyncIterator[Sequence[Arm]]:
    """Start the arms concurrently and stop all of them in any case; raise `ArmFailed` if one does not start."""
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
