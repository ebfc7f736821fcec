"""Quantiles and shares within buckets: as `histogram_quantile`, but on the logarithm, as exponential buckets are."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from itertools import pairwise
from math import inf, log
from typing import Final

ROUNDING: Final = 1 + 1e-9


def bucket_quantile(slower_than: Mapping[float, float], share: float) -> float | None:
    """Return the quantile; None without requests. In the last bucket it is the last boundary."""
    bounds = sorted(slower_than)
    whole = slower_than.get(0.0, 0.0)
    if not whole:
        return None
    wanted = (1 - share) * whole
    for low, high in pairwise(bounds):
        beyond_low, beyond_high = slower_than[low], slower_than[high]
        if beyond_high <= wanted:
            part = (beyond_low - wanted) / (beyond_low - beyond_high) if beyond_low > beyond_high else 0.0
            return float(low * (high / low) ** part) if low else high * part
    return bounds[-1]


def slower_than(counts: Mapping[float, float], seconds: float, *, widest: float = inf) -> float:
    """Return how many requests took longer than this, interpolated within the bucket.

    In a bucket wider than `widest` times its lower boundary it is the least possible number: those beyond the bucket.
    """
    bounds = sorted(counts)
    for low, high in pairwise(bounds):
        if low <= seconds < high:
            if widest < inf and (not low or high > low * widest * ROUNDING) and seconds > low * ROUNDING:
                return counts[high]
            part = log(seconds / low) / log(high / low) if low else seconds / high
            return counts[low] + (counts[high] - counts[low]) * part
    return counts[bounds[-1]] if bounds else 0.0


def bucket(bounds: Iterable[float], seconds: float) -> tuple[float, float]:
    """Return the boundaries of the bucket that has this duration, the upper one included."""
    ordered = sorted({0.0, *bounds})
    position = bisect_left(ordered, seconds)
    return ordered[max(position - 1, 0)], ordered[position] if position < len(ordered) else inf
