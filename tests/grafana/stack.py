"""The whole picture without containers: five arms under the same light traffic, watched by a real Prometheus.

It is there to be looked at; the contract test has a stack with faults and somebody else's application instead
(`tests/servers/stack.py`). Run by hand it draws the same boards as any Grafana:
`python -m tests.grafana.stack --keep DIRECTORY --seconds 600` leaves a time series database to look at.
"""

import argparse
import asyncio
import secrets
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import yaml

from lab.arms import Arm, ArmSpec, running
from lab.load import drive
from lab.memory import Memory
from lab.pace import OpenLoop, Stretch
from lab.process import TetheredProcess, free_ports
from lab.traffic import Traffic
from lab.upstream import upstream
from lab.wire import Address
from prometheus.build import ROOT
from service.techniques import ARMS
from tests.servers.executable import executable

PROMISED: Final = "optimized"
"""The arm that users are promised something about; the others are its comparison, as in the compose stack."""
MIXES: Final = {"reading": 0.85, "whole service": 0.15}
"""What is asked for, in shares: mostly reading, so that caches have something to keep; and a little of everything."""
READY_S: Final = 30.0


@dataclass(frozen=True, kw_only=True)
class Watching:
    """How the stack is watched and loaded."""

    rules: Path = ROOT / "prometheus"
    """`prometheus/compressed` has the same rules on a clock on which an hour lasts a minute."""
    scrape_s: int = 5
    rate_per_s: float = 2.0
    """Of each arm."""
    seed: int = 1


@asynccontextmanager
async def running_stack(directory: Path, data_dir: Path, watching: Watching) -> AsyncIterator[str]:
    """Run arms, upstream, worker, Prometheus and traffic; give the URL of Prometheus, which keeps its data there."""
    token = secrets.token_hex(16)
    async with upstream((), data_dir=data_dir) as weather:
        arms = [
            Arm(
                ArmSpec(
                    name=name,
                    techniques=techniques,
                    settings={"WEATHER_URL": weather},
                    has_worker=name == PROMISED,
                ),
                data_dir=data_dir,
                token=token,
                writes=True,
            )
            for name, techniques in ARMS.items()
        ]
        async with running(arms), _watched(directory, arms, watching) as url:
            loads = [asyncio.create_task(_load(arm, mix, watching)) for arm in arms for mix in MIXES]
            try:
                yield url
            finally:
                for load in loads:
                    load.cancel()
                await asyncio.gather(*loads, return_exceptions=True)


async def _load(arm: Arm, mix: str, watching: Watching) -> None:
    """Ask every arm the same until cancelled."""
    requests = Traffic(mix, seed=watching.seed).requests(0)
    pace = OpenLoop(rate_per_s=watching.rate_per_s * MIXES[mix])
    memory = Memory(token=arm.token)
    for part in range(10_000):
        await drive(Address.of(arm.url), requests, pace, Stretch(duration_s=30), memory=memory, seed=part)


@asynccontextmanager
async def _watched(directory: Path, arms: Sequence[Arm], watching: Watching) -> AsyncIterator[str]:
    """Run Prometheus, and an Alertmanager that tells nobody; give the URL of the first."""
    prometheus, alertmanager = (f"127.0.0.1:{port}" for port in free_ports(2))
    (directory / "alertmanager.yml").write_text("{route: {receiver: nobody}, receivers: [{name: nobody}]}", "utf-8")
    configuration = yaml.safe_dump(_configuration(prometheus, alertmanager, arms, watching))
    (directory / "prometheus.yml").write_text(configuration, "utf-8")
    alerts = [
        str(executable("prometheus-alertmanager", package="prometheus-alertmanager")),
        f"--config.file={directory / 'alertmanager.yml'}",
        f"--storage.path={directory / 'alertmanager'}",
        f"--web.listen-address={alertmanager}",
        "--cluster.listen-address=",
        "--log.level=warn",
    ]
    series = [
        str(executable("prometheus", package="prometheus")),
        f"--config.file={directory / 'prometheus.yml'}",
        f"--storage.tsdb.path={directory / 'tsdb'}",
        f"--web.listen-address={prometheus}",
        "--enable-feature=exemplar-storage",
        "--log.level=warn",
    ]
    async with _running("Alertmanager", alerts, alertmanager), _running("Prometheus", series, prometheus):
        yield f"http://{prometheus}"


@asynccontextmanager
async def _running(name: str, command: Sequence[str], address: str) -> AsyncIterator[None]:
    process = TetheredProcess(name)
    try:
        await process.start(command, environment={})
        await _until_ready(process, f"http://{address}/-/ready")
        yield
    finally:
        await process.stop()


def _configuration(address: str, alertmanager: str, arms: Sequence[Arm], watching: Watching) -> dict[str, Any]:
    interval = f"{watching.scrape_s}s"

    def job(name: str, **targets: str) -> dict[str, Any]:
        groups = [{"targets": [target], "labels": {"arm": arm} if arm else {}} for arm, target in targets.items()]
        return {"job_name": name, "static_configs": groups}

    addresses = {arm.name: urlsplit(arm.metrics_url).netloc for arm in arms}
    worker = next(urlsplit(arm.worker_metrics_url).netloc for arm in arms if arm.name == PROMISED)
    return {
        "global": {"scrape_interval": interval, "evaluation_interval": interval, "scrape_timeout": interval},
        "rule_files": [str(watching.rules / kind / "*.yml") for kind in ("rules", "alerts")],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]},
        "scrape_configs": [
            job("service", **{PROMISED: addresses.pop(PROMISED)}),
            job("comparison", **addresses),
            job("worker", **{PROMISED: worker}),
            {"job_name": "prometheus", "static_configs": [{"targets": [address]}]},
            {"job_name": "alertmanager", "static_configs": [{"targets": [alertmanager]}]},
        ],
    }


async def _until_ready(process: TetheredProcess, url: str) -> None:
    async with httpx.AsyncClient() as client, asyncio.timeout(READY_S):
        while True:
            process.check()
            with suppress(httpx.TransportError):
                if (await client.get(url)).is_success:
                    return
            await asyncio.sleep(0.1)


async def _run(keep: Path, data_dir: Path, seconds: float) -> None:
    async with running_stack(keep, data_dir, Watching()) as url:
        print(f"Prometheus: {url}, data: {keep / 'tsdb'}", flush=True)  # noqa: T201 its user waits for it
        await asyncio.sleep(seconds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "flightdeck-stack")
    parser.add_argument("--data-dir", type=Path, default=ROOT / ".flightdeck")
    parser.add_argument("--seconds", type=float, default=600.0)
    arguments = parser.parse_args()
    arguments.keep.mkdir(parents=True, exist_ok=True)
    asyncio.run(_run(arguments.keep, arguments.data_dir, arguments.seconds))
