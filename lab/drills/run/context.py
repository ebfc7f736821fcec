"""The service under a drill: its process, the traffic on it, and how a release replaces it."""

import asyncio
import secrets
import sys
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from lab.arms.databases import DATABASES, clone_databases
from lab.arms.process import free_ports
from lab.drills.environments.monitoring import Monitoring
from lab.drills.run.errors import DrillError
from lab.drills.run.process import Process
from lab.drills.run.traffic import during, traffic

EVERYDAY: Final = (
    "/flights?origin=JFK&limit=20",
    "/airports/JFK/departures?date=2013-07-10",
    "/reports/delays?by=carrier&origin=JFK&month=2013-07",
    "/airports/LGA",
    "/airports/EWR/departures?date=2013-07-11",
    "/airlines",
    "/reports/routes?origin=EWR&month=2013-07",
    "/flights?origin=LGA&limit=20",
)
"""What the drill's own light traffic asks; it begins before the fault and goes on after it."""

EVERYDAY_PAUSE_S: Final = 0.2
HANDOVER_S: Final = 2.5
"""Both run until Prometheus has found and scraped the new one."""
EMBEDDED: Final = {
    "OBSERVABILITY_ACCESS_LOG": "false",
    "DATABASE_URL": "",
    "DATABASE_UNINDEXED_URL": "",
    "DATABASE_REPLICA_URL": "",
    "REDIS_URL": "",
    "EDGE_URL": "",
    "CELERY_BROKER_URL": "filesystem://",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "",
    "SENTRY_DSN": "",
}
"""A drill breaks nothing that the person who runs it uses, whatever the environment says."""


class Scene:
    """One service with its traffic, which the monitoring knows under the name of its arm."""

    def __init__(self, arm: str, data_dir: Path, *, monitoring: Monitoring, settings: Mapping[str, str]) -> None:
        if missing := [name for name in DATABASES if not (data_dir / name).exists()]:
            raise DrillError(f"no {' and '.join(missing)} in {data_dir}; load the data first: flightdeck data load")
        self.arm = arm
        self.directory = monitoring.directory / arm
        self.monitoring = monitoring
        self.token = secrets.token_urlsafe(16)
        self.data_dir = self.directory / "data"
        self.original = data_dir
        self._settings = dict(settings)
        self._shared: dict[str, Any] = {}
        self._processes: list[Process] = []
        self.service = self._next({})

    async def open(self, *, writes: bool) -> None:
        """Make the scene's directory with data that the service may keep for itself."""
        await asyncio.to_thread(self.data_dir.mkdir, parents=True)
        await asyncio.to_thread(clone_databases, self.original, self.data_dir, written=DATABASES[0] if writes else "")

    async def start(self) -> None:
        """Start the service, and let Prometheus scrape it."""
        await self.service.start()
        self.scraped()

    async def stop(self) -> None:
        """End every process that this scene started, after telling Prometheus not to miss them."""
        self.monitoring.forget(self.arm)
        for process in reversed(self._processes):
            await process.stop()

    def scraped(self) -> None:
        """Let Prometheus scrape the service that is in use now, and nothing else under its job."""
        self.monitoring.scrape("service", [self.metrics_address], arm=self.arm)

    async def release(self, settings: Mapping[str, str]) -> None:
        """Replace the service by one with other settings, without a moment in which nobody answers."""
        old, new = self.service, self._next(settings)
        await new.start()
        self.service = new
        self._point_at(new)
        self.scraped()
        await asyncio.sleep(HANDOVER_S)
        await old.stop()

    @asynccontextmanager
    async def released(self, **settings: str) -> AsyncIterator[None]:
        """Release the service with these settings for the time of the block, then the good one again."""
        await self.release(settings)
        try:
            yield
        finally:
            await self.release({})

    def helper(
        self, name: str, arguments: Sequence[str], *, ready_url: str = "", environment: Mapping[str, str] | None = None
    ) -> Process:
        """Return another process of the drill, not started yet; `stop` ends it too."""
        process = Process(name, arguments, ready_url=ready_url, environment=environment)
        self._processes.append(process)
        return process

    def share(self, name: str, thing: object, **settings: str) -> None:
        """Keep what the fault will need, and what the service has to know about it."""
        self._shared[name] = thing
        self._settings |= settings
        self.service.environment = self.environment({})

    def shared(self, name: str) -> Any:
        """Return what was kept under the name."""
        return self._shared[name]

    def working(self, *work: Coroutine[None, None, None]) -> AbstractAsyncContextManager[None]:
        """Return a block during which this work is done."""
        return during(work)

    def traffic(
        self, paths: Iterable[str] = EVERYDAY, *, of: str = "", clients: int = 1, pause_s: float = EVERYDAY_PAUSE_S
    ) -> AbstractAsyncContextManager[None]:
        """Return a block during which clients ask for these paths in turn, of the service or of another URL.

        What fails is not repeated.
        """
        return traffic(lambda: of or self.url, tuple(paths), clients=clients, pause_s=pause_s)

    def client(self, timeout_s: float = 10.0) -> httpx.AsyncClient:
        """Return a client of the service that may write; the caller closes it."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=timeout_s)

    def environment(self, settings: Mapping[str, str]) -> dict[str, str]:
        """Return what a process of the service reads, with these settings over the drill's."""
        own = {"ARM": self.arm, "TECHNIQUES": "all", "DATA_DIR": str(self.data_dir), "WRITE_TOKEN": self.token}
        return own | EMBEDDED | self._settings | dict(settings)

    def _next(self, settings: Mapping[str, str]) -> Process:
        port, metrics_port = free_ports(2)
        process = self.helper(
            "the service",
            [sys.executable, "-m", "flightdeck", "serve", "--port", str(port), "--metrics-port", str(metrics_port)],
            ready_url=f"http://127.0.0.1:{port}/readyz",
            environment=self.environment(settings),
        )
        if len(self._processes) == 1:
            self._point_at(process)
        return process

    def _point_at(self, process: Process) -> None:
        port, metrics_port = process.command[-3], process.command[-1]
        self.url = f"http://127.0.0.1:{port}"
        self.metrics_address = f"127.0.0.1:{metrics_port}"
