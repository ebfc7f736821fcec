"""One deadline that several steps share."""

from threading import Thread
from time import monotonic, perf_counter
from typing import Final


class RateLimiter:
    """Admits a number of events in each second."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._second = 0
        self._admitted = 0

    def allow(self) -> bool:
        """Whether there is room for one more in this second."""
        second = int(perf_counter())
        if second != self._second:
            self._second, self._admitted = second, 0
        self._admitted += 1
        return self._admitted <= self._limit


_LEAST_S: Final = 0.05
"""What a step gets that comes after the deadline: enough for what needs no network."""


class Deadline:
    """A moment so many seconds from now; what earlier steps took is not there for later ones."""

    def __init__(self, seconds: float) -> None:
        self._moment = monotonic() + seconds

    @property
    def remaining_s(self) -> float:
        """Seconds until then, and a little more than nothing afterwards."""
        return max(_LEAST_S, self._moment - monotonic())


def run_with_timeout(seconds: float, work: Thread) -> bool:
    """Run the thread for at most that long; return whether it ended. A daemon thread is left behind otherwise."""
    work.start()
    work.join(seconds)
    return not work.is_alive()
