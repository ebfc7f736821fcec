"""A turnstile: so many may be inside, so many wait in order, none longer than a deadline."""

import asyncio
from dataclasses import dataclass
from time import perf_counter
from typing import Final

from service.errors import Overloaded
from service.http.admission.limit import PROBE_S, AdaptiveLimit
from service.http.admission.meter import AdmissionMetrics

STANDING: Final = 0.2
"""The share of the deadline that is left once a line has not been empty for as long as the deadline."""


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What a turnstile allows."""

    running: int
    """At most; fewer while the process has more to do than time."""
    waiting: int
    wait_s: float


class Turnstile:
    """Lets requests in, first come first served; who can not be let in soon is told so at once.

    A longer queue would not serve more: it would serve all of them late. A burst may wait for the whole deadline; a
    line that stands is no burst, and those in it are refused sooner, as CoDel does, so that who is let in is not late.
    The deadline is kept twice, by a timer and when a turn is given, because the timers of a busy event loop are late.
    """

    def __init__(self, bounds: Bounds, metrics: AdmissionMetrics) -> None:
        self._bounds: Final = bounds
        self._metrics: Final = metrics
        self._limit: Final = AdaptiveLimit(bounds.running)
        self._running = 0
        self._waiting: dict[asyncio.Future[bool], float] = {}
        self._line_since = 0.0
        self._is_probing = False
        metrics.watch(limit=lambda: self._limit.now, running=lambda: self._running, waiting=lambda: len(self._waiting))

    async def enter(self) -> None:
        """Return when the request may begin; raise `Overloaded` if that would take too long."""
        if self._running < self._limit.now and not self._waiting:
            self._running += 1
            self._metrics.counted("admitted")
            return
        self._probe()
        if len(self._waiting) >= self._bounds.waiting:
            self._metrics.counted("queue_full")
            raise Overloaded(f"{self._running} requests are worked on and {len(self._waiting)} wait")
        await self._wait()

    def leave(self) -> None:
        """Give the turn to the next in line whose deadline has not passed."""
        self._running -= 1
        self._give_turns()

    def _give_turns(self) -> None:
        now = perf_counter()
        is_standing = now - self._line_since > self._bounds.wait_s
        patience_s = self._bounds.wait_s * (STANDING if is_standing else 1)
        while self._waiting and self._running < self._limit.now:
            turn, since = next(iter(self._waiting.items()))
            del self._waiting[turn]
            if not turn.done():
                is_in_time = now - since < patience_s
                turn.set_result(is_in_time)
                self._running += is_in_time

    def _probe(self) -> None:
        """Look at the process every now and then for as long as somebody waits."""
        if not self._is_probing:
            self._is_probing = True
            loop = asyncio.get_running_loop()
            loop.call_later(PROBE_S, self._probed, loop, loop.time() + PROBE_S)

    def _probed(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        self._is_probing = False
        self._limit.look(lag_s=loop.time() - due)
        self._give_turns()
        if self._waiting:
            self._probe()

    async def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[bool] = loop.create_future()
        since = perf_counter()
        if not self._waiting:
            self._line_since = since
        self._waiting[turn] = since
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
            self._metrics.counted("timeout")
            raise Overloaded(f"no turn came within {self._bounds.wait_s:g} s")
        self._metrics.counted("queued")

    def _give_up(self, turn: "asyncio.Future[bool]") -> None:
        if not turn.done():
            turn.set_result(False)
