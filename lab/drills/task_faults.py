"""Faults of the task queue."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import httpx

from lab.drills.drill import Drill
from lab.drills.process import Process
from lab.drills.scene import ARM, Scene
from lab.process import free_ports

EXPORT: Final = {"format": "csv", "origin": "JFK", "date_from": "2013-07-01", "date_to": "2013-07-02"}


@asynccontextmanager
async def exports(scene: Scene) -> AsyncIterator[None]:
    """A worker of the drill's own."""
    (port,) = free_ports(1)
    worker = scene.helper(
        "the worker",
        [sys.executable, "-m", "flightdeck", "worker", "--metrics-port", str(port)],
        ready_url=f"http://127.0.0.1:{port}/metrics",
        environment=scene.environment({}),
    )
    scene.share("worker", worker)
    scene.monitoring.scrape("worker", [f"127.0.0.1:{port}"], arm=ARM)
    yield


async def asked(scene: Scene, *, pause_s: float) -> None:
    """Ask for a small export again and again."""
    async with scene.client() as client:
        while True:
            with suppress(httpx.HTTPError):
                await client.post("/exports", json=EXPORT)
            await asyncio.sleep(pause_s)


@asynccontextmanager
async def worker_killed(scene: Scene) -> AsyncIterator[None]:
    """The only worker is killed while exports are asked for."""
    worker: Process = scene.shared("worker")
    await worker.start()
    async with scene.working(asked(scene, pause_s=0.5)):
        await asyncio.sleep(5.0)
        await worker.kill()
        try:
            yield
        finally:
            await worker.start()


TASK_DRILLS: Final = (
    Drill(
        name="worker-killed",
        breaks="the only worker is killed while exports are asked for",
        prepare=exports,
        fault=worker_killed,
        alerts=("WorkersMissing",),
        writes=True,
    ),
)
