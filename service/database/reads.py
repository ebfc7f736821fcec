"""Where reads go: the technique `read_replicas`."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from service.database.consistency import Consistency, current_consistency
from service.database.failures import Translation
from service.database.replica import PRIMARY_POSITION, Refusal, Replica
from service.database.replica_metrics import ReplicaMetrics
from service.errors import DatabaseBusy, DatabaseUnreachable, ServiceError


class Reads(Protocol):
    """Chooses the server that answers a read, and keeps what it needs to choose."""

    def session(self) -> AbstractAsyncContextManager[AsyncSession]:
        """Yield a session for reads."""

    async def wrote(self) -> None:
        """Take notice of a write that this process has just committed."""

    def once_replicated(self, action: Callable[[], Awaitable[None]]) -> None:
        """Run the action when every server that answers reads has this process's last write, if one may lack it."""

    async def start(self) -> None:
        """Begin to watch the servers."""

    async def stop(self) -> None:
        """Stop watching."""


class PrimaryReads:
    """Every read goes to the primary, which has every write."""

    def __init__(self, primary: async_sessionmaker[AsyncSession], translated: Translation) -> None:
        self._primary = primary
        self._translated = translated

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """Yield a session on the primary."""
        with self._translated():
            async with self._primary() as session:
                yield session

    async def wrote(self) -> None:
        """Nothing to remember."""

    def once_replicated(self, action: Callable[[], Awaitable[None]]) -> None:
        """Nothing to wait for, and so nothing to do."""

    async def start(self) -> None:
        """Nothing to watch."""

    async def stop(self) -> None:
        """Nothing was watched."""


class ReplicaReads:
    """Reads go to the replica unless it is down, too far behind, or lacks a write that this read must see."""

    def __init__(
        self,
        primary: async_sessionmaker[AsyncSession],
        on_replica: async_sessionmaker[AsyncSession],
        *,
        replica: Replica,
        metrics: ReplicaMetrics,
        translated: Translation,
    ) -> None:
        self._primary = primary
        self._on_replica = on_replica
        self._replica = replica
        self._metrics = metrics
        self._translated = translated
        self._watching: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """Yield a session on the replica, or on the primary."""
        request = current_consistency.get() or Consistency()
        refusal = Refusal.RETRY if request.on_primary else self._replica.refusal(after=request.after)
        if refusal is None:
            with self._noticed(request):  # closing may be the first to find the connection lost
                async with self._on_replica() as session:
                    if await self._is_connected(session):
                        self._metrics.read("fresh")
                        yield session
                        return
            refusal = Refusal.DOWN
        self._metrics.read(refusal)
        with self._translated():
            async with self._primary() as session:
                yield session

    async def wrote(self) -> None:
        """Keep the position after the write, for this process's reads and for the client's next requests.

        It is read after the commit, so it includes it as long as commits are synchronous, PostgreSQL's default.
        """
        try:
            with self._translated():
                async with self._primary() as session:
                    position: int | None = await session.scalar(PRIMARY_POSITION)
        except ServiceError:
            position = None  # the write is committed all the same: reads stay on the primary until it is seen again
        self._replica.wrote(position)
        request = current_consistency.get()
        if request is not None and position is not None:
            request.wrote = request.after = position

    def once_replicated(self, action: Callable[[], Awaitable[None]]) -> None:
        """Run the action when the replica has this process's last write."""
        self._replica.once_replicated(action)

    async def start(self) -> None:
        """Begin to watch both servers."""
        self._watching = asyncio.create_task(self._replica.watch(), name="replica watch")

    async def stop(self) -> None:
        """Stop watching; connections are the engines' owner's to close."""
        if self._watching is not None:
            self._watching.cancel()
            with suppress(asyncio.CancelledError):
                await self._watching

    async def _is_connected(self, session: AsyncSession) -> bool:
        try:
            with self._translated():
                await session.connection()
        except DatabaseUnreachable:
            self._replica.failed()
            return False
        return True

    @contextmanager
    def _noticed(self, request: Consistency) -> Iterator[None]:
        """Keep in mind that the replica failed, or cancelled a read that stood in the way of the primary's writes."""
        try:
            with self._translated():
                yield
        except (DatabaseBusy, DatabaseUnreachable) as error:
            request.replica_failed = True
            if isinstance(error, DatabaseUnreachable):
                self._replica.failed()
            raise
