"""How long a service is observed until a technique can be predicted: slices of equal length, as many as that takes."""

from math import ceil
from typing import Final

FIRST: Final = 10
"""Slices before the first prediction."""
MIN_REQUESTS: Final = 150
"""That arrive in these slices."""
MEAN_S: Final = 60.0
"""Limit of the traffic per technique, on average: what one does not need is left to the others."""
KEPT_S: Final = 30.0
"""Of the limit, kept for each technique that follows: `MIN_REQUESTS` at five per second."""
MAX_S: Final = 600.0
"""Limit of the traffic for one technique alone; enough for `MIN_REQUESTS` at the lowest rate of the lab."""
MARGIN: Final = 1.25
"""Observations expected in the end, as a multiple of those that a prediction needs."""


def limit_s(techniques: int, *, least_s: float) -> float:
    """Return the limit of the traffic for all techniques together; `least_s` is planned for each of them."""
    return max(techniques * max(least_s, MEAN_S), MAX_S)


def available_s(left_s: float, *, later: int, least_s: float) -> float:
    """Return how much of the traffic that is left a technique may have, if this many are predicted after it."""
    return left_s - later * max(least_s, KEPT_S)


def planned_s(rate_per_s: float, *, least_s: float, limit_s: float) -> float:
    """Return how long a technique is observed at first: until `MIN_REQUESTS` arrive, within the limit."""
    return min(max(least_s, MIN_REQUESTS / rate_per_s), limit_s)


def further_slices(observed: int, share: float, *, slice_s: float, left_s: float) -> int:
    """Return how many slices to add to those observed, at most those that fit into the time that is left.

    `share` is that of the observations which a prediction needs. At 0 none was made, from 1 on they vary too much: in
    both cases twice the time may do.
    """
    wanted = ceil(observed * (MARGIN / share - 1)) if 0 < share < 1 else observed
    return min(wanted, int(left_s / slice_s))
