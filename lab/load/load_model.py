"""When requests are sent: on a schedule (open loop), or after the response to the previous one (closed loop)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

DRAIN_S: Final = 10.0


@dataclass(frozen=True, kw_only=True)
class OpenLoop:
    """Requests at a rate, independently of the responses."""

    rate_per_s: float
    arrivals: Literal["poisson", "constant"] = "poisson"

    def arrivals_within(self, seconds: float, seed: int) -> Iterator[float]:
        """Yield when requests are due, in seconds, ascending; their number is exactly rate times duration.

        Poisson arrivals of a given number are uniformly distributed.
        """
        number = round(self.rate_per_s * seconds)
        if self.arrivals == "constant":
            yield from (position / self.rate_per_s for position in range(number))
        else:
            yield from (float(due) for due in np.sort(np.random.default_rng(seed).uniform(0, seconds, number)))


@dataclass(frozen=True, kw_only=True)
class ClosedLoop:
    """Clients that each send the next request after the response to the previous one."""

    clients: int
    requests: int | None = None
    """Ends when this many are complete, so that every arm does the same work; None: at the end of the phase."""


LoadModel = OpenLoop | ClosedLoop


@dataclass(frozen=True, kw_only=True)
class Phase:
    duration_s: float
    warm_up_s: float = 0.0
    """Before the duration, not recorded."""
    drain_s: float = DRAIN_S
    """Time limit for the last responses."""
