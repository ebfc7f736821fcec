"""Faults of the caches: Redis is down, writes invalidate the entries, a popular entry is invalidated repeatedly."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import cycle
from typing import Final

import httpx

from lab.arms.ports import free_ports
from lab.drills.run.context import DrillContext
from lab.drills.run.drill import Drill
from lab.drills.run.executable import executable_path
from lab.drills.run.process import Process

BOARDS: Final = tuple(
    f"/airports/{origin}/departures?date=2013-{month:02}-{day:02}"
    for month in (5, 6, 7)
    for day in range(1, 29)
    for origin in ("JFK", "EWR", "LGA")
)
FLOODED: Final = tuple((origin, f"2013-07-{day}") for day in (10, 11) for origin in ("JFK", "EWR", "LGA"))
"""The boards whose flights are updated, by airport and day; the everyday traffic reads fewer of them from the cache."""
REPORT: Final = "/reports/delays?by=hour&month=2013-07"
READERS: Final = 30


async def redis(context: DrillContext) -> None:
    """Start a Redis for the service's shared cache."""
    (port,) = free_ports(1)
    command = [executable_path("redis-server", package="redis-server"), "--port", str(port), "--bind", "127.0.0.1"]
    server = context.process("Redis", [*command, "--save", "", "--dir", str(context.directory)])
    await server.start()
    context.add_dependency("redis", server, REDIS_URL=f"redis://127.0.0.1:{port}/0")


@asynccontextmanager
async def redis_stopped(context: DrillContext) -> AsyncIterator[None]:
    server: Process = context.dependency("redis")
    async with context.traffic(BOARDS, clients=4), server.killed():
        yield


async def updates(context: DrillContext, path: str, *, pause_s: float, read: str = "") -> None:
    """Update the flights of a list one by one, which invalidates cached responses; read a page after each update."""
    # A request with an Authorization header bypasses the caches.
    async with context.client() as client, httpx.AsyncClient(base_url=context.url, timeout=10.0) as reader:
        flights: list[int] = []
        while not flights:
            with suppress(httpx.HTTPError, ValueError, KeyError):
                page = (await client.get(path)).json()
                flights = [flight["id"] for flight in page["items"]]
        for flight in cycle(flights):
            with suppress(httpx.HTTPError):
                await client.patch(f"/flights/{flight}/status", json={"status": "departed", "departure_delay_min": 5})
                if read:
                    await reader.get(read)
            await asyncio.sleep(pause_s)


@asynccontextmanager
async def write_flood(context: DrillContext) -> AsyncIterator[None]:
    """After each update of a flight, its board is read once.

    No such read is a hit, however slow the machine is: the response to the update comes after the invalidation, and of
    several concurrent reads the last ones would be hits.
    """
    flood = (
        updates(
            context,
            f"/flights?origin={origin}&date_from={day}&date_to={day}&limit=50",
            pause_s=0.0,
            read=f"/airports/{origin}/departures?date={day}",
        )
        for origin, day in FLOODED
    )
    async with context.in_background(*flood):
        yield


@asynccontextmanager
async def stampede(context: DrillContext) -> AsyncIterator[None]:
    """Many clients read one report that is invalidated every half second."""
    flights = "/flights?origin=JFK&date_from=2013-07-10&date_to=2013-07-10&limit=50"
    readers = context.traffic([REPORT], clients=READERS, pause_s=0.0)
    async with readers, context.in_background(updates(context, flights, pause_s=0.5)):
        yield


CACHE_DRILLS: Final = (
    Drill(
        name="redis-stopped",
        description="Redis is killed",
        prepare=redis,
        fault=redis_stopped,
        alerts=("CacheDown",),
    ),
    Drill(
        name="write-flood",
        description="status updates invalidate cached boards as fast as they are computed",
        fault=write_flood,
        alerts=("CacheHitRatioCollapsed",),
        settings={"MAX_CONCURRENT_REQUESTS": "0"},  # a rejected request makes no lookup
        writes=True,
        warmup_s=50.0,  # the usual hit ratio is known only of the time before the last half minute
        exclusive=frozenset({"cpu"}),
    ),
    Drill(
        name="stampede",
        description=f"{READERS} clients request one report, and an update invalidates it every half second",
        fault=stampede,
        alerts=("CacheStampede",),
        writes=True,
        exclusive=frozenset({"cpu"}),
    ),
)
