"""Faults of the replica that the service reads from, on a real PostgreSQL."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from lab.drills.environments.postgres import Cluster
from lab.drills.faults.cache import updates
from lab.drills.run.context import Scene
from lab.drills.run.drill import Drill

WRITTEN: Final = "/flights?origin=JFK&date_from=2013-07-10&date_to=2013-07-10&limit=50"


@asynccontextmanager
async def replicated(scene: Scene) -> AsyncIterator[None]:
    """A primary with its replica, which the service writes to and reads from."""
    cluster = Cluster(scene)
    await cluster.open()
    scene.share("postgres", cluster, DATABASE_URL=cluster.url("primary"), DATABASE_REPLICA_URL=cluster.url("replica"))
    yield


@asynccontextmanager
async def replica_killed(scene: Scene) -> AsyncIterator[None]:
    """The replica is gone until somebody starts it again."""
    cluster: Cluster = scene.shared("postgres")
    await cluster.replica.kill()
    try:
        yield
    finally:
        await cluster.start("replica")


@asynccontextmanager
async def replay_paused(scene: Scene) -> AsyncIterator[None]:
    """The replica receives what is written and does not replay it."""
    cluster: Cluster = scene.shared("postgres")
    async with scene.working(updates(scene, WRITTEN, pause_s=0.5)):
        await cluster.tell_replica("SELECT pg_wal_replay_pause()")
        try:
            yield
        finally:
            await cluster.tell_replica("SELECT pg_wal_replay_resume()")


REPLICA_DRILLS: Final = (
    Drill(
        name="replica-killed",
        breaks="the replica is killed",
        prepare=replicated,
        fault=replica_killed,
        alerts=("ReplicaDown",),
    ),
    Drill(
        name="replica-lags",
        breaks="the replica does not replay what is written",
        prepare=replicated,
        fault=replay_paused,
        alerts=("ReplicaLag",),
    ),
)
