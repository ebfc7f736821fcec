"""Event loop lag: how late the loop runs a timer."""

import asyncio
from functools import partial
from threading import get_ident
from time import perf_counter
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from observability.core.internal_errors import suppress_internal_errors
from observability.saturation.blocking import BlockDetector

LAG_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

BLOCKED_AFTER_S: Final = 0.1
"""A step of a task that takes longer delays other requests noticeably."""


class EventLoopMetrics:
    """Measure the lag of an event loop, and what blocks it.

    A task that makes the loop late by `blocked_after_s` is logged and added to its trace. The timer fires twice in that
    time, so a step of twice that time is always detected. Time is counted from a quarter of it on.
    """

    def __init__(self, registry: CollectorRegistry, *, blocked_after_s: float = BLOCKED_AFTER_S) -> None:
        self._interval_s = blocked_after_s / 2
        self._due = 0.0
        """When the timer should fire, by `perf_counter`; 0 while stopped."""
        self._timer: asyncio.TimerHandle | None = None
        self._detector: BlockDetector | None = None
        counter = partial(Counter, registry=registry)
        gauge = partial(Gauge, registry=registry)
        histogram = partial(Histogram, registry=registry)
        self._lag = histogram(
            "event_loop_lag_seconds", "How much later than scheduled the event loop ran a timer.", buckets=LAG_BUCKETS_S
        )
        self._blocked = counter(
            "event_loop_blocked_seconds_total", "Time for which a handler blocked the event loop.", ("handler",)
        )
        stall = gauge("event_loop_stall_seconds", "How late the event loop is now; it grows while the loop is blocked.")
        stall.set_function(self.late_s)

    def start(self) -> None:
        """Measure the running loop, from its own thread, until `stop()`."""
        self.stop()
        loop = asyncio.get_running_loop()
        self._schedule(loop)
        self._detector = BlockDetector(loop, get_ident(), late_s=self.late_s, blocked=self._blocked)
        self._detector.start(blocked_after_s=self._interval_s * 2)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._detector is not None:
            self._detector.stop()
        self._timer = self._detector = None
        self._due = 0.0

    def late_s(self) -> float:
        """Return by how many seconds the timer is overdue now; from any thread."""
        due = self._due
        return max(0.0, perf_counter() - due) if due else 0.0

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        self._due = perf_counter() + self._interval_s
        self._timer = loop.call_later(self._interval_s, self._beat, loop)

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        with suppress_internal_errors("event_loop"):
            exemplar = self._detector.take_exemplar() if self._detector is not None else None
            self._lag.observe(self.late_s(), exemplar)
        self._schedule(loop)
