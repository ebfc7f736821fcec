"""When requests are sent: on a schedule, or each after the answer to the one before."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

DRAIN_S: Final = 10.0


@dataclass(frozen=True, kw_only=True)
class OpenLoop:
    """Requests at a rate, whether or not earlier ones were answered."""

    rate_per_s: float
    arrivals: Literal["poisson", "constant"] = "poisson"

    def arrivals_within(self, seconds: float, seed: int) -> Iterator[float]:
        """Return when requests are due, ascending, in seconds from now: always as many as the rate says.

        Poisson arrivals of which the number is known are spread evenly at random.
        """
        number = round(self.rate_per_s * seconds)
        if self.arrivals == "constant":
            yield from (position / self.rate_per_s for position in range(number))
        else:
            yield from (float(due) for due in np.sort(np.random.default_rng(seed).uniform(0, seconds, number)))


@dataclass(frozen=True, kw_only=True)
class ClosedLoop:
    """Clients that each wait for their answer before they ask again."""

    clients: int


LoadModel = OpenLoop | ClosedLoop


@dataclass(frozen=True, kw_only=True)
class Phase:
    """How long to drive, and what of it counts."""

    duration_s: float
    warm_up_s: float = 0.0
    """Driven before the duration and not recorded."""
    drain_s: float = DRAIN_S
    """How long to wait for the last answers."""
