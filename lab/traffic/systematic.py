"""Evenly spread draws, so that every list of requests has nearly the same composition.

Independent draws give one list three heavy requests and the next one none, and that is then most of the difference
between rounds. Here each request is a point of an additive recurrence (Richtmyer 1951: the fractional parts of the
multiples of square roots of primes) with a random shift: even over the popularity of the targets in every list, and
unbiased. Streams with independent shifts are replicates of one systematic sample, whose spread estimates its error
without a model (Deming, "Sample Design in Business Research", 1960: replicated sampling).
"""

from typing import Final

import numpy as np
from numpy.random import Generator

STEPS: Final[tuple[float, ...]] = tuple(float(step) for step in np.sqrt([2, 3, 7, 5, 11, 13, 19, 17, 23, 29]) % 1.0)
"""One per coordinate: each decision about a request is a coordinate, the first ones are spread best."""


class SystematicDraws:
    """Stands in for a random generator where requests are built."""

    def __init__(self, random: Generator) -> None:
        self._shifts = [float(shift) for shift in random.random(len(STEPS))]
        self._point = 0
        self._coordinate = 0

    def begin_request(self) -> None:
        """Go to the next point; what follows are its coordinates."""
        self._point += 1
        self._coordinate = 0

    def random(self) -> float:
        """Return the next coordinate of the point, from 0 to 1."""
        shift, step = self._shifts[self._coordinate], STEPS[self._coordinate]
        self._coordinate += 1
        return (shift + self._point * step) % 1.0

    def integers(self, end: int) -> int:
        """Return an integer below `end`."""
        return int(self.random() * end)
