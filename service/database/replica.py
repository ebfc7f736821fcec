"""A streaming replica, watched: whether it may answer a read now, and if not, why."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from enum import StrEnum
from time import monotonic
from typing import Final

from sqlalchemy import TextClause, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from observability.core.internal_errors import suppress_internal_errors
from service.database.lag import ReplicationLag
from service.database.replica_metrics import ReplicaMetrics
from service.errors import ServiceError
from service.network.dns import resolve

POLL_S: Final = 0.25
LOOKUP_S: Final = 2.0
UNKNOWN: Final = 1 << 63
"""A position that no log has reached: the primary's, until it is seen again."""

PRIMARY_POSITION: Final = text("SELECT CAST(pg_current_wal_lsn() - CAST('0/0' AS pg_lsn) AS bigint)")
# Nothing on a server that does not follow another one, such as a replica that was promoted.
REPLICA_POSITION: Final = text(
    "SELECT CAST(pg_last_wal_replay_lsn() - CAST('0/0' AS pg_lsn) AS bigint) WHERE pg_is_in_recovery()"
)

logger = logging.getLogger(__name__)


class Refusal(StrEnum):
    """Why a read goes to the primary."""

    DOWN = "down"
    LAGGING = "lagging"
    READ_YOUR_WRITES = "read_your_writes"
    RETRY = "retry"
    """The replica failed during this request."""


class Replica:
    """What is known of a replica; nothing is known, and so no read goes there, before `watch` runs."""

    def __init__(
        self,
        *,
        primary: AsyncEngine,
        replica: AsyncEngine,
        max_lag_s: float,
        metrics: ReplicaMetrics,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._primary = primary
        self._replica = replica
        self._max_lag_s = max_lag_s
        self._metrics = metrics
        self._lag = ReplicationLag(clock=clock)
        self._is_up = False
        self._own_write = 0
        self._waiting: deque[tuple[int, Callable[[], Awaitable[None]]]] = deque()

    def refusal(self, *, after: int) -> Refusal | None:
        """Return why the replica may not answer a read that must see the log up to a position; none if it may."""
        if not self._is_up:
            return Refusal.DOWN
        if self._lag.replayed < max(self._own_write, after):
            return Refusal.READ_YOUR_WRITES
        return Refusal.LAGGING if self._lag.seconds > self._max_lag_s else None

    def failed(self) -> None:
        """Send no read there until it answers again."""
        if self._is_up:
            logger.warning("the replica does not answer; reads go to the primary")
        self._is_up = False
        self._metrics.up.set(0)

    def wrote(self, position: int | None) -> None:
        """Let this process's reads see its own write, which ends at this position of the log, if it is known."""
        self._own_write = UNKNOWN if position is None else max(self._own_write, position)

    def once_replicated(self, action: Callable[[], Awaitable[None]]) -> None:
        """Run the action when the replica has reached this process's last write."""
        self._waiting.append((self._own_write, action))

    async def watch(self) -> None:
        """Ask both servers where they are, again and again, until cancelled."""
        try:
            while True:
                await self._look()
                await self._run_what_waited()
                await asyncio.sleep(POLL_S)
        finally:
            await self._primary.dispose()
            await self._replica.dispose()

    async def _look(self) -> None:
        position = await _position(self._primary, PRIMARY_POSITION)
        if position is not None:
            self._lag.primary_is_at(position)
            if self._own_write == UNKNOWN:
                self._own_write = position
        position = await _position(self._replica, REPLICA_POSITION, is_new=not self._is_up)
        if position is None:
            self.failed()
        else:
            self._lag.replica_is_at(position)
            if not self._is_up:
                logger.info("the replica answers")
            self._is_up = True
            self._metrics.up.set(1)
        self._metrics.lag.set(self._lag.seconds)

    async def _run_what_waited(self) -> None:
        while self._waiting and self._is_up and self._waiting[0][0] <= self._lag.replayed:
            _, action = self._waiting.popleft()
            with suppress_internal_errors("replication"):
                await action()


async def _position(engine: AsyncEngine, statement: TextClause, *, is_new: bool = False) -> int | None:
    """Return where a server is in its log; none if it does not say so in time.

    Of one that `is_new`, or was away, the address is looked up first: each attempt to connect would ask for it anew.
    """
    try:
        if is_new and engine.url.host:
            async with asyncio.timeout(LOOKUP_S):
                await resolve(engine.url.host, engine.url.port or 5432)
        async with engine.connect() as connection:
            position: int | None = await connection.scalar(statement)
            return position
    except (DBAPIError, OSError, ServiceError) as error:
        logger.debug("no position: %s", error)
        return None
