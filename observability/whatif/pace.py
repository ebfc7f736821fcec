"""How many requests are observed: all, or a random sample of a fixed rate where they are many."""

from random import random
from time import monotonic
from typing import Final

MAX_PER_S: Final = 500
"""Observed requests: their time is half a percent of a processor."""
CHECKED_EVERY: Final = 1000
"""Requests after which the rate is looked at."""


class Pace:
    def __init__(self) -> None:
        self._weight = 1
        self._seen = 0
        self._since = monotonic()

    def weight(self) -> int:
        """Return how many requests the next one stands for; 0 if it is not observed."""
        self._seen += 1
        if self._seen >= CHECKED_EVERY:
            self.adjust()
        weight = self._weight
        return weight if weight == 1 or random() * weight < 1 else 0  # noqa: S311 a sample, no secret

    def adjust(self) -> None:
        """Sample as many of the next requests as the last ones allow."""
        now = monotonic()
        per_s = self._seen / max(now - self._since, 0.001)
        self._weight = max(1, round(per_s / MAX_PER_S))
        self._seen, self._since = 0, now
