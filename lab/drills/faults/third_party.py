"""Faults that the flights service does not have: a third-party process with them joins the service."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

from lab.arms.ports import free_ports
from lab.core.command import MODULE
from lab.drills.run.context import HANDOVER_S, DrillContext
from lab.drills.run.drill import Drill


@asynccontextmanager
async def third_party_process(context: DrillContext, fault: str) -> AsyncIterator[str]:
    """Scrape a process with this fault as part of the service during the block; yield its URL."""
    port, metrics_port = free_ports(2)
    url, metrics_address = f"http://127.0.0.1:{port}", f"127.0.0.1:{metrics_port}"
    process = context.process(
        f"the third-party process ({fault})",
        [*MODULE, "lab.drills.environments.third_party_app", fault, str(port)],
        ready_url=f"http://{metrics_address}/metrics",
        environment=context.environment({"OTEL_EXPORTER_PROMETHEUS_PORT": str(metrics_port)}),
    )
    await process.start()
    try:
        async with context.second_target(metrics_address):
            yield url
    finally:
        await asyncio.sleep(HANDOVER_S)
        await process.stop()


def leak(context: DrillContext) -> AbstractAsyncContextManager[str]:
    return third_party_process(context, "leak")


@asynccontextmanager
async def incompressible(context: DrillContext) -> AsyncIterator[None]:
    """A process that compresses photos, and a client that requests them."""
    async with (
        third_party_process(context, "incompressible") as url,
        context.traffic(["/photo"], url=url, clients=1, pause_s=0.2),
    ):
        yield


THIRD_PARTY_DRILLS: Final = (
    Drill(
        name="leak",
        description="a third-party process leaks 0.4 MB per second; six hours last six minutes here",
        fault=leak,
        alerts=("MemoryGrowth",),
        fires_within_s=600.0,
    ),
    Drill(
        name="incompressible",
        description="a third-party process compresses photos at the highest level",
        fault=incompressible,
        alerts=("CompressionCostsMore",),
    ),
)
