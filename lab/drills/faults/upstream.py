"""Faults of the weather upstream."""

import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

import httpx

from lab.arms.ports import free_ports
from lab.drills.run.context import DrillContext
from lab.drills.run.drill import Drill, without

WEATHER: Final = tuple(
    f"/weather/{station}?at=2013-07-{day:02}T12:00:00Z" for day in range(1, 29) for station in ("JFK", "LGA", "EWR")
)
CLIENTS: Final = 16
"""Enough for the alerts to count requests within five seconds while each takes longer than one."""

SLOW_S: Final = 1.4
"""Longer than the latency objective of one second."""


async def weather(context: DrillContext) -> None:
    """Start a weather upstream for the service."""
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "flightdeck", "upstream", "--port", str(port)]
    upstream = context.process(
        "the upstream", [*command, "--data-dir", str(context.original_data_dir)], ready_url=f"{url}/livez"
    )
    await upstream.start()
    context.add_dependency("upstream", url, WEATHER_URL=url)


@asynccontextmanager
async def upstream_behaviour(context: DrillContext, **behaviour: float) -> AsyncIterator[None]:
    """Give the upstream this behaviour during the block, and request weather."""
    behaviour_url = f"{context.dependency('upstream')}/admin/behaviour"
    async with httpx.AsyncClient(timeout=5.0) as client:
        before: dict[str, Any] = (await client.get(behaviour_url)).raise_for_status().json()
        (await client.put(behaviour_url, json=before | behaviour)).raise_for_status()
        try:
            async with context.traffic(WEATHER, clients=CLIENTS, pause_s=0.5):
                yield
        finally:
            (await client.delete(behaviour_url)).raise_for_status()


def upstream_failing(context: DrillContext) -> AbstractAsyncContextManager[None]:
    return upstream_behaviour(context, failure_rate=1.0)


def upstream_slow(context: DrillContext) -> AbstractAsyncContextManager[None]:
    return upstream_behaviour(context, hang_s=SLOW_S)


def upstream_uneven(context: DrillContext) -> AbstractAsyncContextManager[None]:
    """About one in seven responses is slow."""
    return upstream_behaviour(context, median_ms=300.0, p99_ms=4500.0)


UPSTREAM_DRILLS: Final = (
    Drill(
        name="upstream-failing",
        description="every response of the weather upstream is an error",
        prepare=weather,
        fault=upstream_failing,
        alerts=("UpstreamFailing",),
        settings={"WEATHER_BREAKER_RESET_S": "1"},
    ),
    Drill(
        name="slow-responses",
        description=f"every response of the weather upstream takes {SLOW_S} s, and the service has no timeouts",
        prepare=weather,
        fault=upstream_slow,
        alerts=("LatencyBudgetBurn 1h",),
        settings={"TECHNIQUES": without("timeouts")},
    ),
    Drill(
        name="route-slow",
        description="one in seven responses of the weather upstream takes over 1 s, and the service has no timeouts",
        prepare=weather,
        fault=upstream_uneven,
        alerts=("RouteSlow",),
        settings={"TECHNIQUES": without("timeouts")},
    ),
)
