"""Faults of the read replica, on a real PostgreSQL."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from lab.drills.environments.postgres import Cluster
from lab.drills.faults.cache import updates
from lab.drills.run.context import DrillContext
from lab.drills.run.drill import Drill

UPDATED_FLIGHTS: Final = "/flights?origin=JFK&date_from=2013-07-10&date_to=2013-07-10&limit=50"


@asynccontextmanager
async def replicated(context: DrillContext) -> AsyncIterator[None]:
    """Start a primary and its replica for the service."""
    cluster = Cluster(context)
    await cluster.open()
    context.add_dependency(
        "postgres", cluster, DATABASE_URL=cluster.url("primary"), DATABASE_REPLICA_URL=cluster.url("replica")
    )
    yield


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


REPLICA_DRILLS: Final = (
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
