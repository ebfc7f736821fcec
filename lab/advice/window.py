"""The increase of a service's metrics over a time, in slices that can be resampled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np
from numpy.typing import NDArray

from lab.core.snapshot import Snapshot

Series = tuple[str, frozenset[tuple[str, str]]]
"""A name and labels."""
Columns = Mapping[str, Sequence[tuple[dict[str, str], int]]]
"""The series of each name: labels and column."""


class Sample:
    """Sums of the increase of every series over some slices."""

    def __init__(self, columns: Columns, values: NDArray[np.float64], seconds: float) -> None:
        self._columns = columns
        self._values = values
        self.seconds = seconds

    def has(self, name: str) -> bool:
        return name in self._columns

    def total(self, name: str, **labels: str) -> float:
        """Return the sum of the series with this name and these labels; 0 without any."""
        return float(sum(self._values[at] for own, at in self._columns.get(name, ()) if labels.items() <= own.items()))

    def by(self, name: str, label: str, **labels: str) -> dict[str, float]:
        """Return the sums by the value of a label, without those that are 0."""
        totals: dict[str, float] = {}
        for own, at in self._columns.get(name, ()):
            if labels.items() <= own.items() and self._values[at] > 0:
                totals[own.get(label, "")] = totals.get(own.get(label, ""), 0.0) + float(self._values[at])
        return totals

    def scaled(self, factors: Mapping[str, Mapping[str, float]], *, label: str) -> "Sample":
        """Return a copy in which the series of each name are multiplied by the factor of their label's value."""
        values = self._values.copy()
        for name, by_value in factors.items():
            for own, at in self._columns.get(name, ()):
                values[at] *= by_value.get(own.get(label, ""), 1.0)
        return Sample(self._columns, values, self.seconds)


@dataclass(frozen=True)
class Window:
    """The slices of an observation, one row each."""

    columns: Columns
    matrix: NDArray[np.float64]
    seconds: Sequence[float]

    @classmethod
    def of(cls, scrapes: Sequence[tuple[float, Snapshot]]) -> Self:
        """Return the window between the first and the last scrape; each is a time in seconds and its samples."""
        return cls.of_increases(
            [increases(before.samples, after.samples) for (_, before), (_, after) in pairwise(scrapes)],
            seconds=[after - before for (before, _), (after, _) in pairwise(scrapes)],
        )

    @classmethod
    def of_increases(cls, rows: Sequence[Mapping[Series, float]], *, seconds: Sequence[float]) -> Self:
        """Return the window of the increase of every series in every slice."""
        series = sorted({key for row in rows for key in row}, key=lambda key: (key[0], sorted(key[1])))
        matrix = np.array([[row.get(key, 0.0) for key in series] for row in rows], dtype=float)
        columns: dict[str, list[tuple[dict[str, str], int]]] = {}
        for at, (name, labels) in enumerate(series):
            columns.setdefault(name, []).append((dict(labels), at))
        return cls(columns, matrix.reshape(len(rows), len(series)), seconds)

    def whole(self) -> Sample:
        return Sample(self.columns, self.matrix.sum(axis=0), sum(self.seconds))

    def resampled(self, random: np.random.Generator) -> Sample:
        """Return as many slices, drawn with replacement."""
        picks = random.integers(0, len(self.matrix), len(self.matrix))
        return Sample(self.columns, self.matrix[picks].sum(axis=0), sum(self.seconds[pick] for pick in picks))


def increases(before: Mapping[Series, float], after: Mapping[Series, float]) -> dict[Series, float]:
    """Return the increase of every counter; one that is lower than before was reset by a restart."""
    return {
        key: value - before.get(key, 0.0) if value >= before.get(key, 0.0) else value for key, value in after.items()
    }
