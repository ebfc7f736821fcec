"""Limits in time: events per second, and a deadline that several steps share."""

from threading import Thread
from time import monotonic, perf_counter
from typing import Final


class RateLimiter:
    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._second = 0
        self._allowed = 0

    def allow(self) -> bool:
        """Count an event; return whether it is within the limit."""
        second = int(perf_counter())
        if second != self._second:
            self._second, self._allowed = second, 0
        self._allowed += 1
        return self._allowed <= self._limit


_MIN_REMAINING_S: Final = 0.05
"""What a step gets after the deadline: enough for what needs no network."""


class Deadline:
    def __init__(self, seconds: float) -> None:
        self._moment = monotonic() + seconds

    @property
    def remaining_s(self) -> float:
        """Seconds until then, never less than 0.05."""
        return max(_MIN_REMAINING_S, self._moment - monotonic())


def run_with_timeout(seconds: float, work: Thread) -> bool:
    """Start the thread and wait at most that long; return whether it ended. It goes on running otherwise."""
    work.start()
    work.join(seconds)
    return not work.is_alive()
