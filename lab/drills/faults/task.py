"""Faults of the task queue."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Final

import httpx

from lab.arms.process import free_ports
from lab.drills.run.context import Scene
from lab.drills.run.drill import Drill
from lab.drills.run.process import Process

EXPORT: Final = {"format": "csv", "origin": "JFK", "date_from": "2013-07-01", "date_to": "2013-07-02"}
FROZEN_S: Final = 66.0
"""Longer than a task may wait: the limit is a minute of real waiting on every clock."""


@asynccontextmanager
async def exports(scene: Scene) -> AsyncIterator[None]:
    """A worker of the drill's own, and people who ask for exports."""
    (port,) = free_ports(1)
    worker = scene.helper(
        "the worker",
        [sys.executable, "-m", "flightdeck", "worker", "--metrics-port", str(port)],
        ready_url=f"http://127.0.0.1:{port}/metrics",
        environment=scene.environment({}),
    )
    scene.share("worker", worker)
    await worker.start()
    scene.monitoring.scrape("worker", [f"127.0.0.1:{port}"], arm=scene.arm)
    async with scene.working(asked(scene, pause_s=0.5)):
        yield


async def asked(scene: Scene, *, pause_s: float) -> None:
    """Ask for a small export again and again."""
    while True:
        # The service may be elsewhere after a release.
        with suppress(httpx.HTTPError):
            async with scene.client() as client:
                await client.post("/exports", json=EXPORT)
        await asyncio.sleep(pause_s)


@asynccontextmanager
async def worker_killed(scene: Scene) -> AsyncIterator[None]:
    """The only worker is killed while exports are asked for."""
    worker: Process = scene.shared("worker")
    await worker.kill()
    try:
        yield
    finally:
        await worker.start()


@asynccontextmanager
async def worker_released(scene: Scene, **settings: str) -> AsyncIterator[None]:
    """The worker is replaced by one with other settings, then by the good one again."""
    worker: Process = scene.shared("worker")
    good = worker.environment
    worker.environment = {**good, **settings}
    try:
        await worker.start()
        yield
    finally:
        worker.environment = good
        await worker.start()


def wrong_database(scene: Scene) -> AbstractAsyncContextManager[None]:
    """Release a worker that takes tasks, and finds no job in its database."""
    return worker_released(scene, DATABASE_URL=f"sqlite+aiosqlite:///{scene.directory}/empty.db")


def wrong_broker(scene: Scene) -> AbstractAsyncContextManager[None]:
    """Release a worker that is well and waits where no task arrives."""
    elsewhere = scene.directory / "elsewhere"
    elsewhere.mkdir()
    database = scene.data_dir / "flightdeck.db"
    return worker_released(scene, DATA_DIR=str(elsewhere), DATABASE_URL=f"sqlite+aiosqlite:///{database}")


@asynccontextmanager
async def worker_frozen(scene: Scene) -> AsyncIterator[None]:
    """The only worker stands still for a minute, then works off what has gathered."""
    worker: Process = scene.shared("worker")
    worker.own.suspend()
    try:
        await asyncio.sleep(FROZEN_S)
    finally:
        worker.own.resume()
    yield


TASK_DRILLS: Final = (
    Drill(
        name="worker-frozen",
        breaks=f"the only worker stands still for {FROZEN_S:.0f} s while exports are asked for",
        prepare=exports,
        fault=worker_frozen,
        alerts=("TaskQueueWaitHigh",),
        writes=True,
        needs=frozenset({"tasks"}),
    ),
    Drill(
        name="worker-killed",
        breaks="the only worker is killed while exports are asked for",
        prepare=exports,
        fault=worker_killed,
        alerts=("WorkersMissing",),
        writes=True,
        needs=frozenset({"tasks"}),
    ),
    Drill(
        name="worker-astray",
        breaks="a release of the worker waits at a broker where no task arrives",
        prepare=exports,
        fault=wrong_broker,
        alerts=("TasksStuck",),
        writes=True,
        needs=frozenset({"tasks"}),
    ),
    Drill(
        name="tasks-failing",
        breaks="a release of the worker looks for its jobs in an empty database",
        prepare=exports,
        fault=wrong_database,
        alerts=("TasksFailing",),
        writes=True,
        needs=frozenset({"tasks"}),
    ),
)
