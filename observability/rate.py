"""How many times a second something may happen that costs more than a request."""

from time import perf_counter


class PerSecond:
    """Admits a number of events in each second."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._second = 0
        self._admitted = 0

    def admits(self) -> bool:
        """Whether there is room for one more in this second."""
        second = int(perf_counter())
        if second != self._second:
            self._second, self._admitted = second, 0
        self._admitted += 1
        return self._admitted <= self._limit
