"""Latency histograms of constant size that merge without loss (HdrHistogram)."""

from typing import Final, Self

import numpy as np
from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]  # ships no types

LONGEST_US: Final = 3_600_000_000
DIGITS: Final = 3


class Latencies:
    """A histogram of durations from 1 µs to 1 h, with three significant digits."""

    def __init__(self) -> None:
        self._histogram = HdrHistogram(1, LONGEST_US, DIGITS)

    @classmethod
    def decode(cls, text: str) -> Self:
        latencies = cls()
        latencies._histogram = HdrHistogram.decode(text.encode())
        return latencies

    def encode(self) -> str:
        """Return HdrHistogram's compressed text format."""
        return str(self._histogram.encode().decode())

    def record(self, seconds: float) -> None:
        self._histogram.record_value(min(max(round(seconds * 1e6), 1), LONGEST_US))

    def add(self, other: "Latencies") -> None:
        self._histogram.add(other._histogram)  # noqa: SLF001 the same class

    def __len__(self) -> int:
        return int(self._histogram.get_total_count())

    def quantile(self, share: float) -> float | None:
        """Return the quantile in seconds; None without records."""
        if not len(self):
            return None
        return float(self._histogram.get_value_at_percentile(share * 100)) / 1e6

    def total(self) -> float:
        """Return the sum of the durations in seconds, each in the middle of those that the histogram counts as equal.

        HdrHistogram's own mean visits every possible duration.
        """
        lowest = self._histogram.get_lowest_equivalent_value
        total_us = sum(count * ((lowest(longest) + longest + 1) // 2) for longest, count in self.counts().items())
        return float(total_us) / 1e6

    def log_total(self) -> float:
        """Return the sum of the logarithms of the durations in seconds."""
        return float(sum(count * np.log(duration / 1e6) for duration, count in self.counts().items()))

    def counts(self) -> dict[int, int]:
        """Return the counts by duration in microseconds, ascending."""
        histogram = self._histogram
        table = np.ctypeslib.as_array(histogram.counts)
        return {
            histogram.get_highest_equivalent_value(histogram.get_value_from_index(int(place))): int(table[place])
            for place in np.flatnonzero(table)
        }

    def distribution(self) -> tuple[list[float], list[float]]:
        """Return ascending durations in seconds and their cumulative shares."""
        counts = self.counts()
        shares = np.cumsum(list(counts.values())) / len(self)
        return [duration / 1e6 for duration in counts], shares.tolist()
