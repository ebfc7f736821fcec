"""An adaptive concurrency limit: additive increase, multiplicative decrease by CPU load and event-loop lag."""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter, process_time
from typing import Final

MIN_LIMIT: Final = 4
INITIAL_LIMIT: Final = 8
INCREASE: Final = 4
DECREASE_FACTOR: Final = 0.8
DECREASE_INTERVAL_S: Final = 0.05
"""The shortest time between two decreases: a decrease has no effect before running requests finish."""
PROBE_S: Final = 0.01
"""The interval of updates while requests are queued."""
STALE_S: Final = 0.5
"""An update after a longer interval is ignored: its averages say nothing about the current load."""


@dataclass(frozen=True)
class Load:
    """The load of the process since the last update."""

    cpu_ratio: float
    """CPU time per wall-clock time. 1.0 is all that Python code gets, threads included."""
    lag_s: float
    """Event-loop lag."""

    @property
    def is_light(self) -> bool:
        """Whether requests in progress mostly wait for I/O: more of them are no slower."""
        return self.cpu_ratio < 0.6 and self.lag_s <= 0.004

    @property
    def is_heavy(self) -> bool:
        """Whether requests in progress delay each other."""
        return self.cpu_ratio > 0.85 or self.lag_s > 0.010


class AdaptiveLimit:
    """A limit that falls under heavy load, and rises under light load while requests are queued.

    No fixed limit fits both kinds of requests: those that compute share one core and delay each other; those that wait
    for an upstream do not.
    """

    def __init__(
        self, maximum: int, *, clock: Callable[[], float] = perf_counter, cpu_clock: Callable[[], float] = process_time
    ) -> None:
        self._maximum: Final = maximum
        self._minimum: Final = min(MIN_LIMIT, maximum)
        self._clock: Final = clock
        self._cpu_clock: Final = cpu_clock
        self._limit = float(min(INITIAL_LIMIT, maximum))
        self._updated_at, self._cpu_s = clock(), cpu_clock()
        self._decreased_at = float("-inf")

    @property
    def now(self) -> int:
        """The current limit."""
        return int(self._limit)

    def update(self, *, lag_s: float) -> None:
        """Adapt the limit to the load since the last update."""
        now, cpu_s = self._clock(), self._cpu_clock()
        elapsed_s, spent_s = now - self._updated_at, cpu_s - self._cpu_s
        self._updated_at, self._cpu_s = now, cpu_s
        if not 0 < elapsed_s <= STALE_S:
            return
        load = Load(spent_s / elapsed_s, lag_s)
        if load.is_light:
            self._limit = min(float(self._maximum), self._limit + INCREASE)
        elif load.is_heavy and now - self._decreased_at >= DECREASE_INTERVAL_S:
            self._decreased_at = now
            self._limit = max(float(self._minimum), self._limit * DECREASE_FACTOR)
