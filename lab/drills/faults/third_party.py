"""Faults that the flights service does not have: somebody else's service joins and brings them."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from lab.arms.process import free_ports
from lab.drills.run.context import HANDOVER_S, Scene
from lab.drills.run.drill import Drill


@asynccontextmanager
async def stranger(scene: Scene, fault: str) -> AsyncIterator[str]:
    """A service with this fault is scraped beside the drill's own for the time of the block; gives its URL."""
    port, metrics_port = free_ports(2)
    url, metrics_address = f"http://127.0.0.1:{port}", f"127.0.0.1:{metrics_port}"
    process = scene.helper(
        f"the service with the fault {fault}",
        [sys.executable, "-m", "lab.drills.environments.third_party_app", fault, str(port)],
        ready_url=f"http://{metrics_address}/metrics",
        environment=scene.environment({"OTEL_EXPORTER_PROMETHEUS_PORT": str(metrics_port)}),
    )
    await process.start()
    scene.monitoring.scrape("service", [scene.metrics_address, metrics_address], arm=scene.arm)
    try:
        yield url
    finally:
        scene.scraped()
        await asyncio.sleep(HANDOVER_S)
        await process.stop()


@asynccontextmanager
async def leak(scene: Scene) -> AsyncIterator[None]:
    """A process whose memory grows for as long as it runs."""
    async with stranger(scene, "leak"):
        yield


@asynccontextmanager
async def incompressible(scene: Scene) -> AsyncIterator[None]:
    """A process that compresses photos, and people who look at them."""
    async with stranger(scene, "incompressible") as url, scene.traffic(["/photo"], of=url, clients=1, pause_s=0.2):
        yield


STRANGER_DRILLS: Final = (
    Drill(
        name="leak",
        breaks="a process joins the service that keeps 0.4 MB more every second; six hours are six minutes here",
        fault=leak,
        alerts=("MemoryGrowth",),
        fires_within_s=600.0,
    ),
    Drill(
        name="incompressible",
        breaks="a process joins the service that compresses photos as hard as it can",
        fault=incompressible,
        alerts=("CompressionCostsMore",),
    ),
)
