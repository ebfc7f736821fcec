"""A concurrency limiter with a bounded first-in first-out queue and a queue timeout."""

import asyncio
from dataclasses import dataclass
from time import perf_counter
from typing import Final

from service.errors import Overloaded
from service.http.admission.limit import PROBE_S, AdaptiveLimit
from service.http.admission.metrics import AdmissionMetrics

STANDING_QUEUE_TIMEOUT_RATIO: Final = 0.2
"""The share of the timeout that applies once the queue has not been empty for as long as the timeout."""


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """The bounds of a concurrency limiter."""

    slots: int
    """The most requests in progress; the limit is lower while the process is overloaded."""
    queue: int
    """The most queued requests."""
    timeout_s: float
    """The longest time in the queue."""


class ConcurrencyLimiter:
    """Admits requests in order of arrival and rejects those that would not be admitted soon.

    A longer queue does not serve more requests, it serves all of them late. A burst may use the whole timeout. In a
    standing queue the timeout is shorter, as in CoDel, so that admitted requests are not late. The timeout is checked
    twice, by a timer and when a slot is granted, because timers are late on a busy event loop.
    """

    def __init__(self, bounds: Bounds, metrics: AdmissionMetrics) -> None:
        self._bounds: Final = bounds
        self._metrics: Final = metrics
        self._limit: Final = AdaptiveLimit(bounds.slots)
        self._in_progress = 0
        self._queue: dict[asyncio.Future[bool], float] = {}
        self._queued_since = 0.0
        self._is_probing = False
        metrics.watch(
            limit=lambda: self._limit.now, in_progress=lambda: self._in_progress, queued=lambda: len(self._queue)
        )

    async def acquire(self) -> None:
        """Take a slot, after queueing if necessary; raise `Overloaded` if the queue is full or the timeout passes."""
        if self._in_progress < self._limit.now and not self._queue:
            self._in_progress += 1
            self._metrics.count("admitted")
            return
        self._probe()
        if len(self._queue) >= self._bounds.queue:
            self._metrics.count("queue_full")
            raise Overloaded(f"{self._in_progress} requests in progress and {len(self._queue)} queued")
        await self._wait()

    def release(self) -> None:
        """Free a slot and grant it to the first queued request that has not timed out."""
        self._in_progress -= 1
        self._grant_slots()

    def _grant_slots(self) -> None:
        now = perf_counter()
        is_standing = now - self._queued_since > self._bounds.timeout_s
        timeout_s = self._bounds.timeout_s * (STANDING_QUEUE_TIMEOUT_RATIO if is_standing else 1)
        while self._queue and self._in_progress < self._limit.now:
            slot, since = next(iter(self._queue.items()))
            del self._queue[slot]
            if not slot.done():
                is_in_time = now - since < timeout_s
                slot.set_result(is_in_time)
                self._in_progress += is_in_time

    def _probe(self) -> None:
        """Update the limit every `PROBE_S` while requests are queued."""
        if not self._is_probing:
            self._is_probing = True
            loop = asyncio.get_running_loop()
            loop.call_later(PROBE_S, self._probed, loop, loop.time() + PROBE_S)

    def _probed(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        self._is_probing = False
        self._limit.update(lag_s=loop.time() - due)
        self._grant_slots()
        if self._queue:
            self._probe()

    async def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        slot: asyncio.Future[bool] = loop.create_future()
        since = perf_counter()
        if not self._queue:
            self._queued_since = since
        self._queue[slot] = since
        timer = loop.call_later(self._bounds.timeout_s, self._time_out, slot)
        try:
            is_admitted = await slot
        except asyncio.CancelledError:
            if slot.done() and not slot.cancelled() and slot.result():
                self.release()  # cancelled just after the slot was granted
            raise
        finally:
            timer.cancel()
            self._queue.pop(slot, None)
            self._metrics.observe_wait(perf_counter() - since)
        if not is_admitted:
            self._metrics.count("timeout")
            raise Overloaded(f"queued for {self._bounds.timeout_s:g} s without being admitted")
        self._metrics.count("queued")

    def _time_out(self, slot: "asyncio.Future[bool]") -> None:
        if not slot.done():
            slot.set_result(False)
