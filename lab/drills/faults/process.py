"""Faults of the service's own process."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import psutil

from lab.arms.process import free_ports
from lab.drills.run.context import Scene
from lab.drills.run.drill import Drill, without

SEARCHES: Final = tuple(
    f"/itineraries?origin={origin}&destination={destination}&date=2013-07-{day:02}"
    for day in range(1, 29)
    for origin, destination in (("BOS", "LAX"), ("ORD", "MIA"), ("SFO", "BOS"))
)
SCRAPED_S: Final = 1.5
"""Longer than from one scrape to the next."""
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
    """A process beside the service's is killed each time that it was scraped.

    It starts in an instant, so that even a busy machine restarts it often enough within the alert's half minute.
    """
    (port,) = free_ports(1)
    address = f"127.0.0.1:{port}"
    command = [sys.executable, "-m", "lab.drills.environments.short_lived", str(port)]
    process = scene.helper("the process that crashes", command, ready_url=f"http://{address}/metrics")
    scene.monitoring.scrape("service", [scene.metrics_address, address], arm=scene.arm)

    async def again_and_again() -> None:
        while True:
            await process.start()
            await asyncio.sleep(SCRAPED_S)
            await process.kill()

    try:
        async with scene.working(again_and_again()):
            yield
    finally:
        scene.scraped()
        await process.stop()


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
        breaks="a process beside the service's is killed each time that it is ready",
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
        alerts=("FileDescriptorsNearLimit",),
    ),
)
