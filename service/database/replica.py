"""A monitored streaming replica: whether a read may use it now, and if not, why."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from enum import StrEnum
from time import monotonic
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge
from sqlalchemy import TextClause, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from observability.core.internal_errors import suppress_internal_errors
from service.database.lag import ReplicationLag
from service.errors import ServiceError
from service.network.dns import resolve

POLL_S: Final = 0.25
LOOKUP_TIMEOUT_S: Final = 2.0
UNKNOWN: Final = 1 << 63
"""A position beyond every log: stands for that of the primary until it is known."""

PRIMARY_POSITION: Final = text("SELECT CAST(pg_current_wal_lsn() - CAST('0/0' AS pg_lsn) AS bigint)")
# No row on a server that is not a standby, such as a replica that was promoted.
REPLICA_POSITION: Final = text(
    "SELECT CAST(pg_last_wal_replay_lsn() - CAST('0/0' AS pg_lsn) AS bigint) WHERE pg_is_in_recovery()"
)

logger = logging.getLogger(__name__)


class ReplicaSkipReason(StrEnum):
    """Why a read goes to the primary."""

    DOWN = "down"
    LAGGING = "lagging"
    READ_YOUR_WRITES = "read_your_writes"
    RETRY = "retry"
    """The replica failed earlier during this request."""


READ_REASONS: Final = {"replica": ("fresh",), "primary": tuple(ReplicaSkipReason)}


class ReplicaMetrics:
    """Counts reads by server, and shows the state of the replica."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.lag = Gauge(
            "db_replication_lag_seconds",
            "Age of the oldest position in the primary's log that the replica has not replayed.",
            registry=registry,
        )
        self.up = Gauge("db_replica_up", "Whether the last probe of the replica succeeded, 1 or 0.", registry=registry)
        reads = Counter(
            "db_reads_total",
            "Sessions opened for reads, by the server's role and the reason for it.",
            ("role", "reason"),
            registry=registry,
        )
        self._reads = {
            reason: reads.labels(role, reason) for role, reasons in READ_REASONS.items() for reason in reasons
        }

    def count_read(self, reason: str) -> None:
        self._reads[reason].inc()


class Replica:
    """The state of a replica; before `monitor` runs it is unknown, and no read uses the replica."""

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
        self._last_write = 0
        self._actions: deque[tuple[int, Callable[[], Awaitable[None]]]] = deque()

    def skip_reason(self, *, after: int) -> ReplicaSkipReason | None:
        """Return why a read that has to see the log up to `after` may not use the replica, None if it may."""
        if not self._is_up:
            return ReplicaSkipReason.DOWN
        if self._lag.replayed < max(self._last_write, after):
            return ReplicaSkipReason.READ_YOUR_WRITES
        return ReplicaSkipReason.LAGGING if self._lag.seconds > self._max_lag_s else None

    def mark_down(self) -> None:
        """Use the primary until a probe of the replica succeeds."""
        if self._is_up:
            logger.warning("the replica is down; reads go to the primary")
        self._is_up = False
        self._metrics.up.set(0)

    def wrote(self, position: int | None) -> None:
        """Record this process's last write by its log position, None if that is unknown."""
        self._last_write = UNKNOWN if position is None else max(self._last_write, position)

    def once_replicated(self, action: Callable[[], Awaitable[None]]) -> None:
        """Run the action once the replica has this process's last write."""
        self._actions.append((self._last_write, action))

    async def monitor(self) -> None:
        """Poll the log positions of both servers until cancelled."""
        try:
            while True:
                await self._poll()
                await self._run_due_actions()
                await asyncio.sleep(POLL_S)
        finally:
            await self._primary.dispose()
            await self._replica.dispose()

    async def _poll(self) -> None:
        position = await _position(self._primary, PRIMARY_POSITION)
        if position is not None:
            self._lag.primary_is_at(position)
            if self._last_write == UNKNOWN:
                self._last_write = position
        position = await _position(self._replica, REPLICA_POSITION, resolve_first=not self._is_up)
        if position is None:
            self.mark_down()
        else:
            self._lag.replica_is_at(position)
            if not self._is_up:
                logger.info("the replica is up")
            self._is_up = True
            self._metrics.up.set(1)
        self._metrics.lag.set(self._lag.seconds)

    async def _run_due_actions(self) -> None:
        while self._actions and self._is_up and self._actions[0][0] <= self._lag.replayed:
            _, action = self._actions.popleft()
            with suppress_internal_errors("replication"):
                await action()


async def _position(engine: AsyncEngine, statement: TextClause, *, resolve_first: bool = False) -> int | None:
    """Return the server's log position, None if it is down.

    The name of a server that was down is resolved first, because each connect would start another lookup.
    """
    try:
        if resolve_first and engine.url.host:
            async with asyncio.timeout(LOOKUP_TIMEOUT_S):
                await resolve(engine.url.host, engine.url.port or 5432)
        async with engine.connect() as connection:
            position: int | None = await connection.scalar(statement)
            return position
    except (DBAPIError, OSError, ServiceError) as error:
        logger.debug("no log position: %s", error)
        return None
