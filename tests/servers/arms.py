"""The five arms, their upstream and a worker, as processes that a Prometheus scrapes."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from lab.arms.ports import free_ports
from lab.core.command import FLIGHTDECK
from lab.drills.environments.monitoring import Monitoring
from lab.drills.run.process import Process
from service.techniques import ARMS
from tests.servers.arm import WRITE_TOKEN

SLO_ARM: Final = "optimized"
"""The arm with SLOs and alerts; the others are for comparison."""
JOBS: Final = ("service", "comparison", "worker")


class Arms:
    """The processes; `data_dir_of` gives an arm its databases, `settings_of` what it has of its own."""

    def __init__(
        self,
        monitoring: Monitoring,
        data_dir: Path,
        *,
        data_dir_of: Callable[[str], Path],
        settings_of: Mapping[str, Mapping[str, str]] | None = None,
        collector: str = "",
    ) -> None:
        self.urls: dict[str, str] = {}
        self._monitoring = monitoring
        self._data_dir_of = data_dir_of
        self._settings_of = settings_of or {}
        self._collector = collector
        self._metrics: dict[str, str] = {}
        (upstream,) = free_ports(1)
        self._weather = f"http://127.0.0.1:{upstream}"
        announced = {"OBSERVABILITY_METRICS_TARGETS_DIR": str(monitoring.targets_dir("worker"))}
        self._processes = [
            Process(
                "the upstream",
                [*FLIGHTDECK, "upstream", "--port", str(upstream), "--data-dir", str(data_dir)],
                ready_url=f"{self._weather}/livez",
            ),
            *map(self._arm, ARMS),
            Process(
                "the worker",
                [*FLIGHTDECK, "worker", "--metrics-port", "0"],
                environment=self._environment(SLO_ARM) | announced,
            ),
        ]

    async def start(self, *others: Process) -> None:
        """Start them and the others at the same time; Prometheus knows them by the jobs of the compose stack."""
        self._monitoring.set_labelled_targets("service", {self._metrics[SLO_ARM]: {"arm": SLO_ARM}})
        compared = {address: {"arm": arm} for arm, address in self._metrics.items() if arm != SLO_ARM}
        self._monitoring.set_labelled_targets("comparison", compared)
        self._processes += others
        async with asyncio.TaskGroup() as starting:
            for process in self._processes:
                starting.create_task(process.start())

    async def stop(self) -> None:
        """End them at the same time."""
        await asyncio.gather(*(process.stop() for process in self._processes))

    def _arm(self, arm: str) -> Process:
        port, metrics_port = free_ports(2)
        self.urls[arm], self._metrics[arm] = f"http://127.0.0.1:{port}", f"127.0.0.1:{metrics_port}"
        return Process(
            arm,
            [*FLIGHTDECK, "serve", "--port", str(port), "--metrics-port", str(metrics_port)],
            ready_url=f"{self.urls[arm]}/readyz",
            environment=self._environment(arm),
        )

    def _environment(self, arm: str) -> dict[str, str]:
        return {
            "ARM": arm,
            "TECHNIQUES": ",".join(sorted(ARMS[arm])) or "none",
            "DATA_DIR": str(self._data_dir_of(arm)),
            "WRITE_TOKEN": WRITE_TOKEN,
            "WEATHER_URL": self._weather,
            "OTEL_EXPORTER_OTLP_ENDPOINT": self._collector,
            "OBSERVABILITY_ACCESS_LOG": "false",
            **self._settings_of.get(arm, {}),
        }
