"""Faults of the database as the service sees it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from lab.drills.drill import Drill
from lab.drills.scene import Scene

REPORTS: Final = tuple(f"/reports/delays?by=hour&month=2013-{month:02}" for month in range(1, 13))
TECHNIQUES_WITHOUT_CACHES: Final = "pooling,indexes,eager_loading,timeouts,slim_responses,pagination,async_io,offload"
LAZY: Final = "pooling,indexes,timeouts,slim_responses,pagination,async_io,offload"


@asynccontextmanager
async def crowd(scene: Scene) -> AsyncIterator[None]:
    """More readers of uncached reports than there are connections."""
    async with scene.traffic(REPORTS, clients=16, pause_s=0.0):
        yield


@asynccontextmanager
async def lazy_release(scene: Scene) -> AsyncIterator[None]:
    """A release that loads the flights of a board one relation at a time."""
    async with scene.released(TECHNIQUES=LAZY):
        yield


DATABASE_DRILLS: Final = (
    Drill(
        name="pool-exhausted",
        breaks="sixteen readers ask for reports from a pool of one connection that waits 50 ms",
        fault=crowd,
        alerts=("PoolExhausted", "AvailabilityBudgetBurn 1h"),
        settings={
            "TECHNIQUES": TECHNIQUES_WITHOUT_CACHES,
            "POOL_SIZE": "1",
            "POOL_MAX_OVERFLOW": "0",
            "POOL_TIMEOUT_S": "0.05",
        },
    ),
    Drill(
        name="pool-wait",
        breaks="sixteen readers ask for reports from a pool of one connection that waits 30 s",
        fault=crowd,
        alerts=("PoolWaitHigh",),
        settings={
            "TECHNIQUES": TECHNIQUES_WITHOUT_CACHES,
            "POOL_SIZE": "1",
            "POOL_MAX_OVERFLOW": "0",
            "POOL_TIMEOUT_S": "30",
        },
    ),
    Drill(
        name="n-plus-one",
        breaks="a release loads the flights of a board one relation at a time",
        fault=lazy_release,
        alerts=("NPlusOneQueries",),
        settings={"TECHNIQUES": TECHNIQUES_WITHOUT_CACHES},
    ),
)
