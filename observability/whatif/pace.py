"""How many requests are observed: all, or a random sample of a fixed rate where they are many."""

from random import random
from time import monotonic
from typing import Final

MAX_PER_S: Final = 500
"""Observed requests: their time is one percent of a processor."""
WINDOW: Final = 100
"""Requests whose rate decides on the next ones: few, because in a burst requests are most expensive to observe."""


class Pace:
    def __init__(self) -> None:
        self._weight = 1
        self._seen = 0
        self._since = 0.0

    def weight(self) -> int:
        """Return how many requests the next one stands for; 0 if it is not observed."""
        if not self._seen:
            self._since = monotonic()  # of the window's first request: what was idle before it is no part of the rate
        elif self._seen >= WINDOW:
            self._weight, self._seen, self._since = self._allowed(), 0, monotonic()
        self._seen += 1
        weight = self._weight
        return weight if weight == 1 or random() * weight < 1 else 0  # noqa: S311 a sample, no secret

    def relax(self) -> None:
        """Sample more of the next requests if they have become few."""
        if monotonic() - self._since >= 1:
            self._weight = min(self._weight, self._allowed())

    def _allowed(self) -> int:
        per_s = self._seen / max(monotonic() - self._since, 0.001)
        return max(1, round(per_s / MAX_PER_S))
