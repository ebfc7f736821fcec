"""Faults of the service's own process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import psutil

from lab.drills.drill import Drill, without
from lab.drills.scene import Scene

SEARCHES: Final = tuple(
    f"/itineraries?origin={origin}&destination={destination}&date=2013-07-{day:02}"
    for day in range(1, 29)
    for origin, destination in (("BOS", "LAX"), ("ORD", "MIA"), ("SFO", "BOS"))
)
HELD: Final = 200
"""Connections that are opened and not closed."""


@asynccontextmanager
async def crash(scene: Scene) -> AsyncIterator[None]:
    """The process is gone until somebody starts it again."""
    await scene.service.kill()
    try:
        yield
    finally:
        await scene.service.start()


@asynccontextmanager
async def crash_loop(scene: Scene) -> AsyncIterator[None]:
    """The process is killed again each time that it is ready."""

    async def again_and_again() -> None:
        while True:
            await scene.service.kill()
            await scene.service.start()
            await asyncio.sleep(2.0)  # long enough to be scraped

    looping = asyncio.create_task(again_and_again())
    try:
        yield
    finally:
        looping.cancel()
        await asyncio.gather(looping, return_exceptions=True)
        await scene.service.stop()
        await scene.service.start()


@asynccontextmanager
async def searches_on_the_loop(scene: Scene) -> AsyncIterator[None]:
    """A release that searches itineraries on the event loop, and people who search."""
    async with scene.released(TECHNIQUES=without("offload")), scene.traffic(SEARCHES, clients=2, pause_s=0.05):
        yield


@asynccontextmanager
async def searches(scene: Scene) -> AsyncIterator[None]:
    """More searches at a time than there are threads for them."""
    async with scene.traffic(SEARCHES, clients=8, pause_s=0.0):
        yield


@asynccontextmanager
async def held_connections(scene: Scene) -> AsyncIterator[None]:
    """Clients that connect and stay, to a process that may open few files."""
    process = psutil.Process(scene.service.own.pid)
    allowed = process.rlimit(psutil.RLIMIT_NOFILE)
    process.rlimit(psutil.RLIMIT_NOFILE, (process.num_fds() + HELD, allowed[1]))
    host, port = scene.url.removeprefix("http://").split(":")
    writers: list[asyncio.StreamWriter] = []
    try:
        for _ in range(HELD - 10):
            _, writer = await asyncio.open_connection(host, int(port))
            writers.append(writer)
            writer.write(b"GET /flights HTTP/1.1\r\n")  # a request that never ends keeps its connection
        yield
    finally:
        for writer in writers:
            writer.close()
        process.rlimit(psutil.RLIMIT_NOFILE, allowed)


PROCESS_DRILLS: Final = (
    Drill(
        name="service-down",
        breaks="the service's process is killed",
        fault=crash,
        alerts=("ServiceDown",),
    ),
    Drill(
        name="restart-loop",
        breaks="the service's process is killed each time that it is ready",
        fault=crash_loop,
        alerts=("RestartLoop",),
    ),
    Drill(
        name="loop-blocked",
        breaks="a release searches itineraries on the event loop",
        fault=searches_on_the_loop,
        alerts=("EventLoopBlocked",),
        needs=frozenset({"processor"}),
    ),
    Drill(
        name="threads-full",
        breaks="eight people search itineraries at a time, and there is one thread for them",
        fault=searches,
        alerts=("ThreadLimiterFull",),
        settings={"OFFLOAD_THREADS": "1"},
        needs=frozenset({"processor"}),
    ),
    Drill(
        name="descriptors",
        breaks="clients open connections and keep them, to a process that may open few files",
        fault=held_connections,
        alerts=("DescriptorsRunOut",),
    ),
)
