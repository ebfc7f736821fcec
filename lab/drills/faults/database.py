"""Faults of the database as the service sees it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from lab.drills.run.context import Scene
from lab.drills.run.drill import Drill, without

REPORTS: Final = tuple(f"/reports/delays?by=hour&month=2013-{month:02}" for month in range(1, 13))
CACHES: Final = ("response_cache", "local_cache", "http_cache")


@asynccontextmanager
async def crowd(scene: Scene) -> AsyncIterator[None]:
    """More readers of uncached reports than there are connections."""
    async with scene.traffic(REPORTS, clients=16, pause_s=0.0):
        yield


@asynccontextmanager
async def lazy_release(scene: Scene) -> AsyncIterator[None]:
    """A release that loads the flights of a board one relation at a time."""
    async with scene.released(TECHNIQUES=without(*CACHES, "eager_loading")):
        yield


DATABASE_DRILLS: Final = (
    Drill(
        name="pool-exhausted",
        breaks="sixteen readers ask for reports from a pool of one connection that waits 50 ms",
        fault=crowd,
        alerts=("PoolExhausted", "AvailabilityBudgetBurn 1h"),
        settings={
            "TECHNIQUES": without(*CACHES),
            "POOL_SIZE": "1",
            "POOL_MAX_OVERFLOW": "0",
            "POOL_TIMEOUT_S": "0.05",
        },
        needs=frozenset({"processor"}),
    ),
    Drill(
        name="pool-wait",
        breaks="sixteen readers ask for reports from a pool of one connection that waits 30 s",
        fault=crowd,
        alerts=("PoolWaitHigh",),
        settings={
            "TECHNIQUES": without(*CACHES),
            "POOL_SIZE": "1",
            "POOL_MAX_OVERFLOW": "0",
            "POOL_TIMEOUT_S": "30",
        },
        needs=frozenset({"processor"}),
    ),
    Drill(
        name="n-plus-one",
        breaks="a release loads the flights of a board one relation at a time",
        fault=lazy_release,
        alerts=("NPlusOneQueries",),
        settings={"TECHNIQUES": without(*CACHES)},
    ),
)
