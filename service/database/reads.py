"""The server of each read: the technique `read_replicas`."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from service.core.database_url import parsed, unindexed_twin
from service.core.task_set import TaskSet
from service.database.failures import ErrorTranslation
from service.database.postgres import Postgres
from service.database.replica import PRIMARY_POSITION, Replica, ReplicaMetrics, ReplicaSkipReason
from service.errors import DatabaseBusy, DatabaseUnreachable, ServiceError
from service.settings import Settings


@dataclass(kw_only=True)
class Consistency:
    """The writes that the reads of one request have to see, and what happened to these reads."""

    after: int = 0
    """The position in the primary's log that reads have to see: the client's last write."""
    on_primary: bool = False
    """Whether every read goes to the primary."""
    wrote: int = 0
    """The position in the primary's log after this request's own write."""
    replica_failed: bool = False
    """Whether the replica failed during a read."""


current_consistency: Final[ContextVar[Consistency | None]] = ContextVar("current_consistency", default=None)
"""None outside of requests, and where all reads go to the primary."""


class PrimaryReads:
    """Every read goes to the primary, which has every write."""

    def __init__(self, primary: async_sessionmaker[AsyncSession], translate_errors: ErrorTranslation) -> None:
        self._primary = primary
        self._translate_errors = translate_errors

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        with self._translate_errors():
            async with self._primary() as session:
                yield session

    async def wrote(self) -> None:
        pass

    def once_replicated(self, action: Callable[[], Awaitable[None]]) -> None:
        pass

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass


class ReplicaReads:
    """Reads go to the replica unless it is down, lags too far behind, or lacks a write that this read has to see."""

    def __init__(
        self,
        primary: async_sessionmaker[AsyncSession],
        on_replica: async_sessionmaker[AsyncSession],
        *,
        replica: Replica,
        metrics: ReplicaMetrics,
        translate_errors: ErrorTranslation,
    ) -> None:
        self._primary = primary
        self._on_replica = on_replica
        self._replica = replica
        self._metrics = metrics
        self._translate_errors = translate_errors
        self._tasks = TaskSet()

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        request = current_consistency.get() or Consistency()
        reason = ReplicaSkipReason.RETRY if request.on_primary else self._replica.skip_reason(after=request.after)
        if reason is None:
            with self._record_failure(request):  # closing the session may be the first to notice a lost connection
                async with self._on_replica() as session:
                    if await self._is_connected(session):
                        self._metrics.count_read("fresh")
                        yield session
                        return
            reason = ReplicaSkipReason.DOWN
        self._metrics.count_read(reason)
        with self._translate_errors():
            async with self._primary() as session:
                yield session

    async def wrote(self) -> None:
        """Record the log position after the write, for the reads of this process and the client's next requests.

        It is read after the commit, so it includes the write if commits are synchronous, PostgreSQL's default.
        """
        try:
            with self._translate_errors():
                async with self._primary() as session:
                    position: int | None = await session.scalar(PRIMARY_POSITION)
        except ServiceError:
            position = None  # the write is committed; reads stay on the primary until its position is known
        self._replica.wrote(position)
        request = current_consistency.get()
        if request is not None and position is not None:
            request.wrote = request.after = position

    def once_replicated(self, action: Callable[[], Awaitable[None]]) -> None:
        self._replica.once_replicated(action)

    async def start(self) -> None:
        self._tasks.start(self._replica.monitor())

    async def stop(self) -> None:
        await self._tasks.close()

    async def _is_connected(self, session: AsyncSession) -> bool:
        try:
            with self._translate_errors():
                await session.connection()
        except DatabaseUnreachable:
            self._replica.mark_down()
            return False
        return True

    @contextmanager
    def _record_failure(self, request: Consistency) -> Iterator[None]:
        """Record that the replica failed, or cancelled a read because of a conflict with recovery."""
        try:
            with self._translate_errors():
                yield
        except (DatabaseBusy, DatabaseUnreachable) as error:
            request.replica_failed = True
            if isinstance(error, DatabaseUnreachable):
                self._replica.mark_down()
            raise


def replica_reads(
    settings: Settings,
    primary: async_sessionmaker[AsyncSession],
    translate_errors: ErrorTranslation,
    *,
    registry: CollectorRegistry,
) -> tuple[AsyncEngine, ReplicaReads]:
    """Return the replica's engine and the reads that use it."""
    indexed = settings.uses("indexes")
    primary_url = parsed(settings.database_url if indexed else settings.database_unindexed_url)
    replica_url = parsed(settings.database_replica_url)
    server = Postgres(replica_url if indexed else unindexed_twin(replica_url), indexed=indexed)
    engine = server.engine(settings)
    metrics = ReplicaMetrics(registry)
    replica = Replica(
        primary=Postgres(primary_url, indexed=indexed).monitoring_engine(),
        replica=server.monitoring_engine(),
        max_lag_s=settings.replica_max_lag_s,
        metrics=metrics,
    )
    on_replica = async_sessionmaker(engine, expire_on_commit=False)
    return engine, ReplicaReads(
        primary, on_replica, replica=replica, metrics=metrics, translate_errors=translate_errors
    )
