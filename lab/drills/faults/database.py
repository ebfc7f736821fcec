"""Faults of the connection pool, of the queries and, on a real PostgreSQL, of the read replica."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

from lab.drills.environments.postgres import Cluster
from lab.drills.faults.cache import updates
from lab.drills.run.context import DrillContext
from lab.drills.run.drill import Drill, without

REPORTS: Final = tuple(f"/reports/delays?by=hour&month=2013-{month:02}" for month in range(1, 13))
READERS: Final = 16
CACHES: Final = ("response_cache", "local_cache", "http_cache")
ONE_CONNECTION: Final = {"TECHNIQUES": without(*CACHES), "POOL_SIZE": "1", "POOL_MAX_OVERFLOW": "0"}
UPDATED_FLIGHTS: Final = "/flights?origin=JFK&date_from=2013-07-10&date_to=2013-07-10&limit=50"


def report_readers(context: DrillContext) -> AbstractAsyncContextManager[None]:
    """Read uncached reports with more clients than connections."""
    return context.traffic(REPORTS, clients=READERS, pause_s=0.0)


def lazy_loading(context: DrillContext) -> AbstractAsyncContextManager[None]:
    return context.deployed(TECHNIQUES=without(*CACHES, "eager_loading"))


async def replicated(context: DrillContext) -> None:
    """Start a primary and its replica for the service."""
    cluster = Cluster(context)
    await cluster.open()
    context.add_dependency(
        "postgres", cluster, DATABASE_URL=cluster.url("primary"), DATABASE_REPLICA_URL=cluster.url("replica")
    )


@asynccontextmanager
async def replica_killed(context: DrillContext) -> AsyncIterator[None]:
    cluster: Cluster = context.dependency("postgres")
    await cluster.replica.kill()
    try:
        yield
    finally:
        await cluster.start("replica")


@asynccontextmanager
async def replay_paused(context: DrillContext) -> AsyncIterator[None]:
    """The replica receives the WAL and does not replay it."""
    cluster: Cluster = context.dependency("postgres")
    async with context.in_background(updates(context, UPDATED_FLIGHTS, pause_s=0.5)):
        await cluster.execute_on_replica("SELECT pg_wal_replay_pause()")
        try:
            yield
        finally:
            await cluster.execute_on_replica("SELECT pg_wal_replay_resume()")


DATABASE_DRILLS: Final = (
    Drill(
        name="pool-exhausted",
        description=f"{READERS} clients request reports; the pool has four connections and a timeout of 50 ms",
        fault=report_readers,
        alerts=("PoolExhausted", "AvailabilityBudgetBurn 1h"),
        notification_names="held most by /reports/delays",
        # With one connection, what other routes held before would be as much as what reports can hold.
        settings=ONE_CONNECTION | {"POOL_SIZE": "4", "POOL_TIMEOUT_S": "0.05"},
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
    Drill(
        name="replica-killed",
        description="the replica is killed",
        prepare=replicated,
        fault=replica_killed,
        alerts=("ReplicaDown",),
    ),
    Drill(
        name="replica-lags",
        description="the replica stops replaying the WAL",
        prepare=replicated,
        fault=replay_paused,
        alerts=("ReplicaLag",),
    ),
)
