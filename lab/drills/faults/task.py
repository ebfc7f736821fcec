"""Faults of the task queue."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from typing import Final

import httpx

from lab.arms.ports import free_ports
from lab.drills.run.context import DrillContext
from lab.drills.run.drill import Drill
from lab.drills.run.process import Process

EXPORT_PAUSE_S: Final = 0.5
EXPORT: Final = {"format": "csv", "origin": "JFK", "date_from": "2013-07-01", "date_to": "2013-07-02"}
SUSPENDED_S: Final = 66.0
"""Longer than the limit of the queue wait, which is a minute with accelerated rules too."""


async def exports(context: DrillContext) -> None:
    """Start a worker, and request exports."""
    (port,) = free_ports(1)
    worker = context.process(
        "the worker",
        [sys.executable, "-m", "flightdeck", "worker", "--metrics-port", str(port)],
        ready_url=f"http://127.0.0.1:{port}/metrics",
        environment=context.environment({}),
    )
    context.add_dependency("worker", worker)
    await worker.start()
    context.monitoring.set_targets("worker", [f"127.0.0.1:{port}"], arm=context.arm)
    await context.cleanup.enter_async_context(context.in_background(request_exports(context)))


async def request_exports(context: DrillContext) -> None:
    while True:
        # A new client each time: a deploy changes the URL.
        with suppress(httpx.HTTPError):
            async with context.client() as client:
                await client.post("/exports", json=EXPORT)
        await asyncio.sleep(EXPORT_PAUSE_S)


def worker_killed(context: DrillContext) -> AbstractAsyncContextManager[None]:
    worker: Process = context.dependency("worker")
    return worker.killed()


@asynccontextmanager
async def worker_deployed(context: DrillContext, **settings: str) -> AsyncIterator[None]:
    """Replace the worker by one with other settings during the block."""
    worker: Process = context.dependency("worker")
    environment = worker.environment
    worker.environment = {**environment, **settings}
    try:
        await worker.start()
        yield
    finally:
        worker.environment = environment
        await worker.start()


def wrong_database(context: DrillContext) -> AbstractAsyncContextManager[None]:
    """Deploy a worker that takes tasks and finds no job in its database."""
    return worker_deployed(context, DATABASE_URL=f"sqlite+aiosqlite:///{context.directory}/empty.db")


def wrong_broker(context: DrillContext) -> AbstractAsyncContextManager[None]:
    """Deploy a healthy worker on a broker that gets no tasks."""
    other_dir = context.directory / "other"
    other_dir.mkdir()
    database = context.data_dir / "flightdeck.db"
    return worker_deployed(context, DATA_DIR=str(other_dir), DATABASE_URL=f"sqlite+aiosqlite:///{database}")


@asynccontextmanager
async def worker_suspended(context: DrillContext) -> AsyncIterator[None]:
    worker: Process = context.dependency("worker")
    worker.own.suspend()
    try:
        await asyncio.sleep(SUSPENDED_S)
    finally:
        worker.own.resume()
    yield


_task_drill: Final = partial(Drill, prepare=exports, writes=True, exclusive=frozenset({"tasks"}))

TASK_DRILLS: Final = (
    _task_drill(
        name="worker-frozen",
        description=f"the only worker is suspended for {SUSPENDED_S:.0f} s while exports are requested",
        fault=worker_suspended,
        alerts=("TaskQueueWaitHigh",),
    ),
    _task_drill(
        name="worker-killed",
        description="the only worker is killed while exports are requested",
        fault=worker_killed,
        alerts=("WorkersMissing",),
    ),
    _task_drill(
        name="worker-wrong-broker",
        description="a release of the worker consumes from the wrong broker",
        fault=wrong_broker,
        alerts=("TasksStuck",),
    ),
    _task_drill(
        name="tasks-failing",
        description="a release of the worker reads its jobs from an empty database",
        fault=wrong_database,
        alerts=("TasksFailing",),
    ),
)
