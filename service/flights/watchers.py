"""Who is told about a status update: the watchers of a flight."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from service.flights.status import Status


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


class Watchers(Protocol):
    """Those who want to hear of updates."""

    async def notify(self, change: StatusChanged) -> None:
        """Tell every watcher of the flight."""


class LocalWatchers:
    """The watchers that are connected to this process, each with a bounded queue."""

    def __init__(self, *, queue_size: int = 100) -> None:
        self._queue_size = queue_size
        self._queues: dict[int, set[asyncio.Queue[StatusChanged]]] = {}

    async def notify(self, change: StatusChanged) -> None:
        """Queue the change for every watcher of the flight; a watcher that does not keep up loses its oldest ones."""
        for queue in self._queues.get(change.flight_id, ()):
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(change)

    @asynccontextmanager
    async def watching(self, flight_id: int) -> AsyncIterator[asyncio.Queue[StatusChanged]]:
        """Yield a queue of the flight's changes from now on."""
        queue: asyncio.Queue[StatusChanged] = asyncio.Queue(self._queue_size)
        queues = self._queues.setdefault(flight_id, set())
        queues.add(queue)
        try:
            yield queue
        finally:
            queues.discard(queue)
            if not queues:
                self._queues.pop(flight_id, None)
