"""Faults of what the service calls."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx

from lab.arms.process import free_ports
from lab.drills.run.context import Scene
from lab.drills.run.drill import Drill, without

WEATHER: Final = tuple(
    f"/weather/{station}?at=2013-07-{day:02}T12:00:00Z" for day in range(1, 29) for station in ("JFK", "LGA", "EWR")
)
CLIENTS: Final = 16
"""Enough to be more than a handful of requests in five seconds while each takes longer than one."""

SLOW_S: Final = 1.4
"""Longer than the objective of a second allows."""


@asynccontextmanager
async def weather(scene: Scene) -> AsyncIterator[None]:
    """A weather upstream of the drill's own."""
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "flightdeck", "upstream", "--port", str(port)]
    upstream = scene.helper("the upstream", [*command, "--data-dir", str(scene.original)], ready_url=f"{url}/livez")
    await upstream.start()
    scene.share("upstream", url, WEATHER_URL=url)
    yield


@asynccontextmanager
async def behaving(scene: Scene, **behaviour: float) -> AsyncIterator[None]:
    """The upstream behaves like this for the time of the block, in which people ask for the weather."""
    dial = f"{scene.shared('upstream')}/admin/behaviour"
    async with httpx.AsyncClient(timeout=5.0) as client:
        before: dict[str, Any] = (await client.get(dial)).raise_for_status().json()
        (await client.put(dial, json=before | behaviour)).raise_for_status()
        try:
            async with scene.traffic(WEATHER, clients=CLIENTS, pause_s=0.5):
                yield
        finally:
            (await client.delete(dial)).raise_for_status()


@asynccontextmanager
async def upstream_failing(scene: Scene) -> AsyncIterator[None]:
    """Every answer of the upstream is an error."""
    async with behaving(scene, failure_rate=1.0):
        yield


@asynccontextmanager
async def upstream_slow(scene: Scene) -> AsyncIterator[None]:
    """Every answer of the upstream comes late."""
    async with behaving(scene, hang_s=SLOW_S):
        yield


@asynccontextmanager
async def upstream_uneven(scene: Scene) -> AsyncIterator[None]:
    """One answer of the upstream in seven comes late."""
    async with behaving(scene, median_ms=300.0, p99_ms=4500.0):
        yield


UPSTREAM_DRILLS: Final = (
    Drill(
        name="upstream-failing",
        breaks="every answer of the weather upstream is an error",
        prepare=weather,
        fault=upstream_failing,
        alerts=("UpstreamFailing",),
        settings={"WEATHER_BREAKER_RESET_S": "1"},
    ),
    Drill(
        name="slow-answers",
        breaks=f"every answer of the weather upstream takes {SLOW_S} s, and the service waits for it",
        prepare=weather,
        fault=upstream_slow,
        alerts=("LatencyBudgetBurn 1h",),
        settings={"TECHNIQUES": without("timeouts")},
    ),
    Drill(
        name="route-slow",
        breaks="one answer of the weather upstream in seven takes longer than a second, and the service waits for it",
        prepare=weather,
        fault=upstream_uneven,
        alerts=("RouteSlow",),
        settings={"TECHNIQUES": without("timeouts")},
    ),
)
