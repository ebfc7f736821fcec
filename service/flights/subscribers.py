"""The subscribers of a flight's status: the event streams that are open."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from service.errors import TooManySubscribers
from service.flights.schemas import Status


@dataclass(frozen=True, kw_only=True)
class StatusChanged:
    """One accepted status update."""

    flight_id: int
    version: int
    """The flight's version after the update."""
    before: Status
    after: Status
    departure_delay_min: int | None
    changed_at: datetime
    trace_id: str | None


RESYNC: Final = None
"""In a subscriber's queue: changes were lost, so the subscriber has to read the flight."""

Changes = asyncio.Queue[StatusChanged | None]


class Subscribers(Protocol):
    """Receives every status change."""

    async def notify(self, change: StatusChanged) -> None:
        """Deliver the change to every subscriber of the flight."""


class LocalSubscribers:
    """The subscribers that are connected to this process, each with a bounded queue."""

    def __init__(self, *, queue_size: int = 100, limit: int = 1000) -> None:
        self._queue_size = queue_size
        self._limit = limit
        self._queues: dict[int, set[Changes]] = {}
        self.count = 0
        self.is_closed = False

    def close(self) -> None:
        """End every stream, now and later: the process is shutting down, and clients reconnect to another one."""
        self.is_closed = True
        self.resync_all()

    def require_capacity(self) -> None:
        """Raise `TooManySubscribers` at the limit."""
        if self.count >= self._limit:
            raise TooManySubscribers(self._limit)

    async def notify(self, change: StatusChanged) -> None:
        """Queue the change for every subscriber of the flight; a full queue is replaced by `RESYNC`."""
        for queue in self._queues.get(change.flight_id, ()):
            if queue.full():
                _resync(queue)
            else:
                queue.put_nowait(change)

    def resync_all(self) -> None:
        """Make every subscriber read its flight, because changes may have been lost."""
        for queues in self._queues.values():
            for queue in queues:
                _resync(queue)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Do nothing: every change comes from this process."""
        yield

    @asynccontextmanager
    async def subscribe(self, flight_id: int) -> AsyncIterator[Changes]:
        """Yield a queue of the flight's changes from now on; after an item, the subscribers may be closed."""
        queue: Changes = asyncio.Queue(self._queue_size)
        if self.is_closed:
            queue.put_nowait(RESYNC)
        queues = self._queues.setdefault(flight_id, set())
        queues.add(queue)
        self.count += 1
        try:
            yield queue
        finally:
            self.count -= 1
            queues.discard(queue)
            if not queues:
                self._queues.pop(flight_id, None)


def _resync(queue: Changes) -> None:
    while not queue.empty():
        queue.get_nowait()
    queue.put_nowait(RESYNC)
