"""Faults of the service's processes."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

import psutil

from lab.arms.ports import free_ports
from lab.drills.run.context import DrillContext
from lab.drills.run.drill import Drill, without

SEARCHES: Final = tuple(
    f"/itineraries?origin={origin}&destination={destination}&date=2013-07-{day:02}"
    for day in range(1, 29)
    for origin, destination in (("BOS", "LAX"), ("ORD", "MIA"), ("SFO", "BOS"))
)
LIFETIME_S: Final = 1.5
"""Longer than the scrape interval."""
MAX_NEW_FILES: Final = 200
"""File descriptors that the process can still open."""
METRICS_SERVER: Final = """\
from threading import Event
from prometheus_client import start_http_server
start_http_server({port}, "127.0.0.1")
Event().wait()
"""


def crash(context: DrillContext) -> AbstractAsyncContextManager[None]:
    return context.service.killed()


@asynccontextmanager
async def crash_loop(context: DrillContext) -> AsyncIterator[None]:
    """Kill a second process of the service each time it was scraped.

    It serves its metrics and nothing else: so it starts fast enough to restart often within the alert's half minute.
    """
    (port,) = free_ports(1)
    address = f"127.0.0.1:{port}"
    command = [sys.executable, "-c", METRICS_SERVER.format(port=port)]
    process = context.process("the crashing process", command, ready_url=f"http://{address}/metrics")

    async def crash_repeatedly() -> None:
        while True:
            await process.start()
            await asyncio.sleep(LIFETIME_S)
            await process.kill()

    try:
        async with context.second_target(address), context.in_background(crash_repeatedly()):
            yield
    finally:
        await process.stop()


@asynccontextmanager
async def searches_on_the_loop(context: DrillContext) -> AsyncIterator[None]:
    async with context.deployed(TECHNIQUES=without("offload")), context.traffic(SEARCHES, clients=2, pause_s=0.05):
        yield


def searches(context: DrillContext) -> AbstractAsyncContextManager[None]:
    return context.traffic(SEARCHES, clients=8, pause_s=0.0)


@asynccontextmanager
async def held_connections(context: DrillContext) -> AsyncIterator[None]:
    """Lower the limit of open files, and open almost as many connections."""
    process = psutil.Process(context.service.own.pid)
    limit = process.rlimit(psutil.RLIMIT_NOFILE)
    process.rlimit(psutil.RLIMIT_NOFILE, (process.num_fds() + MAX_NEW_FILES, limit[1]))
    host, port = context.url.removeprefix("http://").split(":")
    writers: list[asyncio.StreamWriter] = []
    try:
        for _ in range(MAX_NEW_FILES - 10):
            _, writer = await asyncio.open_connection(host, int(port))
            writers.append(writer)
            writer.write(b"GET /flights HTTP/1.1\r\n")  # an incomplete request keeps its connection open
        yield
    finally:
        for writer in writers:
            writer.close()
        process.rlimit(psutil.RLIMIT_NOFILE, limit)


PROCESS_DRILLS: Final = (
    Drill(
        name="service-down",
        description="the service's process is killed",
        fault=crash,
        alerts=("ServiceDown",),
    ),
    Drill(
        name="restart-loop",
        description="a second process of the service is killed each time it was scraped",
        fault=crash_loop,
        alerts=("RestartLoop",),
    ),
    Drill(
        name="loop-blocked",
        description="a release searches itineraries on the event loop",
        fault=searches_on_the_loop,
        alerts=("EventLoopBlocked",),
        exclusive=frozenset({"cpu"}),
    ),
    Drill(
        name="threads-full",
        description="eight clients search itineraries, with one thread for the searches",
        fault=searches,
        alerts=("ThreadLimiterFull",),
        settings={"OFFLOAD_THREADS": "1"},
        exclusive=frozenset({"cpu"}),
    ),
    Drill(
        name="descriptors",
        description="clients keep connections open to a process with a low limit of open files",
        fault=held_connections,
        alerts=("FileDescriptorsNearLimit",),
    ),
)
