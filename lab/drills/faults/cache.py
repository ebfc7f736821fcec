"""Faults of the caches: the shared one is away, writes empty it, one popular answer expires again and again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import cycle
from typing import Final

import httpx

from lab.arms.process import free_ports
from lab.drills.run.context import Scene
from lab.drills.run.drill import Drill
from lab.drills.run.executables import program
from lab.drills.run.process import Process

BOARDS: Final = tuple(
    f"/airports/{origin}/departures?date=2013-{month:02}-{day:02}"
    for month in (5, 6, 7)
    for day in range(1, 29)
    for origin in ("JFK", "EWR", "LGA")
)
FLOODED: Final = tuple((origin, f"2013-07-{day}") for day in (10, 11) for origin in ("JFK", "EWR", "LGA"))
"""The boards that are written to, by airport and day: more than the everyday client reads while they are cached."""
REPORT: Final = "/reports/delays?by=hour&month=2013-07"
READERS: Final = 30


@asynccontextmanager
async def redis(scene: Scene) -> AsyncIterator[None]:
    """A Redis of the drill's own, which the service shares its cache through."""
    (port,) = free_ports(1)
    command = [program("redis-server", package="redis-server"), "--port", str(port), "--bind", "127.0.0.1"]
    server = scene.helper("Redis", [*command, "--save", "", "--dir", str(scene.directory)])
    await server.start()
    scene.share("redis", server, REDIS_URL=f"redis://127.0.0.1:{port}/0")
    yield


@asynccontextmanager
async def redis_stopped(scene: Scene) -> AsyncIterator[None]:
    """Redis is gone until somebody starts it again."""
    server: Process = scene.shared("redis")
    async with scene.traffic(BOARDS, clients=4):
        await server.kill()
        try:
            yield
        finally:
            await server.start()


async def updates(scene: Scene, path: str, *, pause_s: float, read: str = "") -> None:
    """Update the flights of a list in turn, which invalidates what was cached of them; read a page after each one."""
    # Who is named in a request gets an answer of their own: only readers without a token ask the caches.
    async with scene.client() as client, httpx.AsyncClient(base_url=scene.url, timeout=10.0) as reader:
        flights: list[int] = []
        while not flights:
            with suppress(httpx.HTTPError, ValueError, KeyError):
                answer = (await client.get(path)).json()
                flights = [flight["id"] for flight in answer["items"]]
        for flight in cycle(flights):
            with suppress(httpx.HTTPError):
                await client.patch(f"/flights/{flight}/status", json={"status": "departed", "departure_delay_min": 5})
                if read:
                    await reader.get(read)
            await asyncio.sleep(pause_s)


@asynccontextmanager
async def write_flood(scene: Scene) -> AsyncIterator[None]:
    """After each update of a flight, its board is read once.

    No such read is a hit, however slow the machine is: the response to the update comes after the invalidation, and of
    several reads at once the late ones would be hits.
    """
    flood = (
        updates(
            scene,
            f"/flights?origin={origin}&date_from={day}&date_to={day}&limit=50",
            pause_s=0.0,
            read=f"/airports/{origin}/departures?date={day}",
        )
        for origin, day in FLOODED
    )
    async with scene.working(*flood):
        yield


@asynccontextmanager
async def stampede(scene: Scene) -> AsyncIterator[None]:
    """Many readers of one report that is no longer true every half second."""
    flights = "/flights?origin=JFK&date_from=2013-07-10&date_to=2013-07-10&limit=50"
    crowd = scene.traffic([REPORT], clients=READERS, pause_s=0.0)
    async with crowd, scene.working(updates(scene, flights, pause_s=0.5)):
        yield


CACHE_DRILLS: Final = (
    Drill(
        name="redis-stopped",
        breaks="Redis is killed",
        prepare=redis,
        fault=redis_stopped,
        alerts=("CacheDown",),
    ),
    Drill(
        name="write-flood",
        breaks="status updates make what is cached untrue as fast as it is computed",
        fault=write_flood,
        alerts=("CacheHitRatioCollapsed",),
        settings={"MAX_CONCURRENT_REQUESTS": "0"},  # who is refused looks up nothing
        writes=True,
        warm_s=50.0,  # what is usual is known only of the time before the last half minute
        needs=frozenset({"processor"}),
    ),
    Drill(
        name="stampede",
        breaks=f"{READERS} readers ask for one report, and every half second an update makes it untrue",
        fault=stampede,
        alerts=("CacheStampede",),
        writes=True,
        needs=frozenset({"processor"}),
    ),
)
