"""The service under a drill: its processes, its traffic, and its deploys."""

import asyncio
import secrets
import sys
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from lab.arms.databases import DATABASES, clone_databases
from lab.arms.ports import free_ports
from lab.drills.environments.monitoring import Monitoring
from lab.drills.run.errors import DrillError
from lab.drills.run.process import Process
from lab.drills.run.traffic import in_background, traffic

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
"""The light traffic of every drill, from before the fault until the end."""

EVERYDAY_PAUSE_S: Final = 0.2
HANDOVER_S: Final = 2.5
"""How long the old and the new process of a deploy overlap: until Prometheus has discovered and scraped the new one."""
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
"""Overrides the environment, so that no drill uses the servers that it names."""


class DrillContext:
    """One service with its traffic and its dependencies; its alerts have the label `arm`."""

    def __init__(self, arm: str, data_dir: Path, *, monitoring: Monitoring, settings: Mapping[str, str]) -> None:
        if missing := [name for name in DATABASES if not (data_dir / name).exists()]:
            raise DrillError(f"no {' and '.join(missing)} in {data_dir}; load the data first: flightdeck data load")
        self.arm = arm
        self.directory = monitoring.directory / arm
        self.monitoring = monitoring
        self.token = secrets.token_urlsafe(16)
        self.data_dir = self.directory / "data"
        self.original_data_dir = data_dir
        self._settings = dict(settings)
        self._dependencies: dict[str, Any] = {}
        self._processes: list[Process] = []
        self.cleanup = AsyncExitStack()
        """Closed by `stop`, before the processes are stopped."""
        self.url = self.metrics_address = ""
        self._use(self._service({}))

    async def open(self, *, writes: bool) -> None:
        """Create the directory, with its own copy of the data if the drill writes."""
        await asyncio.to_thread(self.data_dir.mkdir, parents=True)
        await asyncio.to_thread(
            clone_databases, self.original_data_dir, self.data_dir, written=DATABASES[0] if writes else ""
        )

    async def start(self) -> None:
        """Start the service, and let Prometheus scrape it."""
        await self.service.start()
        self.scrape_service()

    async def stop(self) -> None:
        """Remove the targets from Prometheus, then stop every process that was started here."""
        await self.cleanup.aclose()
        self.monitoring.remove_targets(self.arm)
        for process in reversed(self._processes):
            await process.stop()

    def scrape_service(self) -> None:
        """Make the current service process the only target of its job."""
        self.monitoring.set_targets("service", [self.metrics_address], arm=self.arm)

    @asynccontextmanager
    async def second_target(self, address: str) -> AsyncIterator[None]:
        """Let Prometheus scrape another address as a process of the service during the block."""
        self.monitoring.set_targets("service", [self.metrics_address, address], arm=self.arm)
        try:
            yield
        finally:
            self.scrape_service()

    async def deploy(self, settings: Mapping[str, str]) -> None:
        """Replace the service by one with other settings, without downtime."""
        old, new = self.service, self._service(settings)
        await new.start()
        self._use(new)
        self.scrape_service()
        await asyncio.sleep(HANDOVER_S)
        await old.stop()

    @asynccontextmanager
    async def deployed(self, **settings: str) -> AsyncIterator[None]:
        """Return a block during which the service has these settings."""
        await self.deploy(settings)
        try:
            yield
        finally:
            await self.deploy({})

    def process(
        self, name: str, command: Sequence[str], *, ready_url: str = "", environment: Mapping[str, str] | None = None
    ) -> Process:
        """Return another process of the drill, not started yet; `stop` stops it too."""
        process = Process(name, command, ready_url=ready_url, environment=environment)
        self._processes.append(process)
        return process

    def add_dependency(self, name: str, dependency: object, **settings: str) -> None:
        """Keep a dependency for the fault, and give the service these settings."""
        self._dependencies[name] = dependency
        self._settings |= settings
        self.service.environment = self.environment({})

    def dependency(self, name: str) -> Any:
        return self._dependencies[name]

    def in_background(self, *coroutines: Coroutine[None, None, None]) -> AbstractAsyncContextManager[None]:
        """Return a block during which these run."""
        return in_background(coroutines)

    def traffic(
        self, paths: Iterable[str] = EVERYDAY, *, url: str = "", clients: int = 1, pause_s: float = EVERYDAY_PAUSE_S
    ) -> AbstractAsyncContextManager[None]:
        """Return a block during which clients request these paths in a cycle, from the service or from another URL.

        Failed requests are not retried.
        """
        return traffic(lambda: url or self.url, tuple(paths), clients=clients, pause_s=pause_s)

    def client(self) -> httpx.AsyncClient:
        """Return a client of the service with the write token; the caller closes it."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=10.0)

    def environment(self, settings: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of a process of the service; these settings override the drill's."""
        own = {"ARM": self.arm, "TECHNIQUES": "all", "DATA_DIR": str(self.data_dir), "WRITE_TOKEN": self.token}
        return own | EMBEDDED | self._settings | dict(settings)

    def _service(self, settings: Mapping[str, str]) -> Process:
        port, metrics_port = free_ports(2)
        return self.process(
            "the service",
            [sys.executable, "-m", "flightdeck", "serve", "--port", str(port), "--metrics-port", str(metrics_port)],
            ready_url=f"http://127.0.0.1:{port}/readyz",
            environment=self.environment(settings),
        )

    def _use(self, service: Process) -> None:
        self.service = service
        port, metrics_port = service.command[-3], service.command[-1]
        self.url = f"http://127.0.0.1:{port}"
        self.metrics_address = f"127.0.0.1:{metrics_port}"
