"""How many requests are worked on at once: as many as the process keeps up with, within bounds."""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter, process_time
from typing import Final

FEWEST: Final = 4
FIRST: Final = 8
STEP: Final = 4
CUT: Final = 0.8
CUT_EVERY_S: Final = 0.05
"""A cut shows only once somebody has left."""
PROBE_S: Final = 0.01
"""How often the process is looked at while somebody waits."""
STALE_S: Final = 0.5
"""A look after a longer time says nothing about now."""


@dataclass(frozen=True)
class Load:
    """What the process is doing."""

    cpu_ratio: float
    """CPU time per time; one core is all that Python code gets, threads included."""
    lag_s: float
    """How late the event loop ran what was due."""

    @property
    def is_light(self) -> bool:
        """Whether those inside wait for something else than the processor: more of them are no slower."""
        return self.cpu_ratio < 0.6 and self.lag_s <= 0.004

    @property
    def is_heavy(self) -> bool:
        """Whether those inside make each other late."""
        return self.cpu_ratio > 0.85 or self.lag_s > 0.010


class AdaptiveLimit:
    """A limit that falls while the process has more to do than time, and rises while it has not and somebody waits.

    A fixed one is wrong for somebody: requests that compute share one core, and each more makes all of them late;
    requests that wait for an upstream take no time from each other.
    """

    def __init__(
        self, most: int, *, clock: Callable[[], float] = perf_counter, cpu_clock: Callable[[], float] = process_time
    ) -> None:
        self._most: Final = most
        self._fewest: Final = min(FEWEST, most)
        self._clock: Final = clock
        self._cpu_clock: Final = cpu_clock
        self._limit = float(min(FIRST, most))
        self._looked_at, self._cpu_s = clock(), cpu_clock()
        self._cut_at = float("-inf")

    @property
    def now(self) -> int:
        """The limit at this moment."""
        return int(self._limit)

    def look(self, *, lag_s: float) -> None:
        """Adapt to what the process did since the last look."""
        now, cpu_s = self._clock(), self._cpu_clock()
        elapsed_s, spent_s = now - self._looked_at, cpu_s - self._cpu_s
        self._looked_at, self._cpu_s = now, cpu_s
        if not 0 < elapsed_s <= STALE_S:
            return
        load = Load(spent_s / elapsed_s, lag_s)
        if load.is_light:
            self._limit = min(float(self._most), self._limit + STEP)
        elif load.is_heavy and now - self._cut_at >= CUT_EVERY_S:
            self._cut_at = now
            self._limit = max(float(self._fewest), self._limit * CUT)
