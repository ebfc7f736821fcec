"""A turnstile: so many may be inside, so many wait in order, none longer than a deadline."""

import asyncio
from dataclasses import dataclass
from time import perf_counter
from typing import Final

from service.admission.meter import AdmissionMetrics
from service.errors import Overloaded


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What a turnstile allows."""

    running: int
    waiting: int
    wait_s: float


class Turnstile:
    """Lets requests in, first come first served; who can not be let in soon is told so at once.

    A longer queue would not serve more: it would serve all of them late. The deadline is kept twice, by a timer and
    when a turn is given, because the timers of a busy event loop are late.
    """

    def __init__(self, bounds: Bounds, metrics: AdmissionMetrics) -> None:
        self._bounds: Final = bounds
        self._metrics: Final = metrics
        self._running = 0
        self._waiting: dict[asyncio.Future[bool], float] = {}
        metrics.watch(limit=bounds.running, running=lambda: self._running, waiting=lambda: len(self._waiting))

    async def enter(self) -> None:
        """Return when the request may begin; raise `Overloaded` if that would take too long."""
        if self._running < self._bounds.running:  # then nobody waits: whoever leaves gives the turn on
            self._running += 1
            self._metrics.counted("admitted")
            return
        if len(self._waiting) >= self._bounds.waiting:
            self._metrics.counted("queue_full")
            raise Overloaded(f"{self._running} requests are worked on and {len(self._waiting)} wait")
        await self._wait()

    def leave(self) -> None:
        """Give the turn to the next in line whose deadline has not passed."""
        now = perf_counter()
        while self._waiting:
            turn, since = next(iter(self._waiting.items()))
            del self._waiting[turn]
            if not turn.done():
                is_in_time = now - since < self._bounds.wait_s
                turn.set_result(is_in_time)
                if is_in_time:
                    return
        self._running -= 1

    async def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[bool] = loop.create_future()
        since = self._waiting[turn] = perf_counter()
        timer = loop.call_later(self._bounds.wait_s, self._give_up, turn)
        try:
            is_admitted = await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.result():
                self.leave()  # cancelled just after its turn had come
            raise
        finally:
            timer.cancel()
            self._waiting.pop(turn, None)
            self._metrics.waited(perf_counter() - since)
        if not is_admitted:
            self._metrics.counted("too_late")
            raise Overloaded(f"no turn came within {self._bounds.wait_s:g} s")
        self._metrics.counted("waited")

    def _give_up(self, turn: "asyncio.Future[bool]") -> None:
        if not turn.done():
            turn.set_result(False)
