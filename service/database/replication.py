"""The composition of reads on a replica: its engine, its watch, its metrics."""

from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from service.core.database_url import parsed, unindexed_twin
from service.database.failures import Translation
from service.database.postgres import Postgres
from service.database.reads import ReplicaReads
from service.database.replica import Replica
from service.database.replica_metrics import ReplicaMetrics
from service.settings import Settings


def replica_reads(
    settings: Settings,
    primary: async_sessionmaker[AsyncSession],
    translated: Translation,
    *,
    registry: CollectorRegistry,
) -> tuple[AsyncEngine, ReplicaReads]:
    """Return the replica's engine and the reads that use it."""
    indexed = settings.uses("indexes")
    primary_address = parsed(settings.database_url if indexed else settings.database_unindexed_url)
    replica_address = parsed(settings.database_replica_url)
    if not indexed:
        replica_address = unindexed_twin(replica_address)
    replica = Postgres(replica_address, indexed=indexed)
    engine = replica.engine(settings)
    metrics = ReplicaMetrics(registry)
    watched = Replica(
        primary=Postgres(primary_address, indexed=indexed).watching_engine(),
        replica=replica.watching_engine(),
        max_lag_s=settings.replica_max_lag_s,
        metrics=metrics,
    )
    on_replica = async_sessionmaker(engine, expire_on_commit=False)
    return engine, ReplicaReads(primary, on_replica, replica=watched, metrics=metrics, translated=translated)
