"""Latencies, recorded in constant state and merged without loss (HdrHistogram)."""

from typing import Final, Self

import numpy as np
from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]  # ships no types

LONGEST_US: Final = 3_600_000_000
DIGITS: Final = 3


class Latencies:
    """A histogram of durations from 1 µs to an hour, right to three digits."""

    def __init__(self) -> None:
        self._histogram = HdrHistogram(1, LONGEST_US, DIGITS)

    @classmethod
    def decode(cls, text: str) -> Self:
        """Return the histogram that `encode` wrote."""
        latencies = cls()
        latencies._histogram = HdrHistogram.decode(text.encode())
        return latencies

    def encode(self) -> str:
        """Return the histogram in HdrHistogram's own compressed text form, which its other tools read."""
        return str(self._histogram.encode().decode())

    def record(self, seconds: float) -> None:
        """Count one duration."""
        self._histogram.record_value(min(max(round(seconds * 1e6), 1), LONGEST_US))

    def add(self, other: "Latencies") -> None:
        """Count everything that the other one counted."""
        self._histogram.add(other._histogram)  # noqa: SLF001 the same class

    def __len__(self) -> int:
        return int(self._histogram.get_total_count())

    def quantile(self, share: float) -> float | None:
        """Return the duration in seconds that this share of all did not exceed; None where nothing was recorded."""
        if not len(self):
            return None
        return float(self._histogram.get_value_at_percentile(share * 100)) / 1e6

    def counts(self) -> dict[int, int]:
        """Return how often each duration was recorded, by microseconds, ascending."""
        histogram = self._histogram
        table = np.ctypeslib.as_array(histogram.counts)
        return {
            histogram.get_highest_equivalent_value(histogram.get_value_from_index(int(place))): int(table[place])
            for place in np.flatnonzero(table)
        }

    def distribution(self) -> tuple[list[float], list[float]]:
        """Return ascending durations in seconds and, for each, the share of all at or below it."""
        counts = self.counts()
        shares = np.cumsum(list(counts.values())) / len(self)
        return [duration / 1e6 for duration in counts], shares.tolist()
