"""Faults of the connection pool and of the queries."""

from contextlib import AbstractAsyncContextManager
from typing import Final

from lab.drills.run.context import DrillContext
from lab.drills.run.drill import Drill, without

REPORTS: Final = tuple(f"/reports/delays?by=hour&month=2013-{month:02}" for month in range(1, 13))
READERS: Final = 16
CACHES: Final = ("response_cache", "local_cache", "http_cache")
ONE_CONNECTION: Final = {"TECHNIQUES": without(*CACHES), "POOL_SIZE": "1", "POOL_MAX_OVERFLOW": "0"}


def report_readers(context: DrillContext) -> AbstractAsyncContextManager[None]:
    """Read uncached reports with more clients than connections."""
    return context.traffic(REPORTS, clients=READERS, pause_s=0.0)


def lazy_loading(context: DrillContext) -> AbstractAsyncContextManager[None]:
    return context.deployed(TECHNIQUES=without(*CACHES, "eager_loading"))


DATABASE_DRILLS: Final = (
    Drill(
        name="pool-exhausted",
        description=f"{READERS} clients request reports; the pool has one connection and a timeout of 50 ms",
        fault=report_readers,
        alerts=("PoolExhausted", "AvailabilityBudgetBurn 1h"),
        settings=ONE_CONNECTION | {"POOL_TIMEOUT_S": "0.05"},
        exclusive=frozenset({"cpu"}),
    ),
    Drill(
        name="pool-wait",
        description=f"{READERS} clients request reports; the pool has one connection and a timeout of 30 s",
        fault=report_readers,
        alerts=("PoolWaitHigh",),
        settings=ONE_CONNECTION | {"POOL_TIMEOUT_S": "30"},
        exclusive=frozenset({"cpu"}),
    ),
    Drill(
        name="n-plus-one",
        description="a release loads the relations of each flight on a board lazily",
        fault=lazy_loading,
        alerts=("NPlusOneQueries",),
        settings={"TECHNIQUES": without(*CACHES)},
    ),
)
