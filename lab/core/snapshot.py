"""A service's Prometheus metrics, read before and after a phase of load."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True)
class Snapshot:
    """Every sample of a metrics page, or the difference of two pages."""

    samples: dict[tuple[str, frozenset[tuple[str, str]]], float]

    @classmethod
    def parse(cls, page: str) -> Self:
        """Parse the Prometheus text format."""
        return cls(
            {
                (sample.name, frozenset(sample.labels.items())): sample.value
                for family in text_string_to_metric_families(page)
                for sample in family.samples
            }
        )

    def since(self, before: "Snapshot") -> "Snapshot":
        """Return the increase of every sample."""
        return Snapshot({key: value - before.samples.get(key, 0.0) for key, value in self.samples.items()})

    def plus(self, other: "Snapshot") -> "Snapshot":
        """Return the sum of every sample of both."""
        keys = self.samples.keys() | other.samples.keys()
        return Snapshot({key: self.samples.get(key, 0.0) + other.samples.get(key, 0.0) for key in keys})

    def replaced(self, name: str, value: float) -> "Snapshot":
        """Return a snapshot in which this sample, without labels, has this value."""
        return Snapshot(self.samples | {(name, frozenset[tuple[str, str]]()): value})

    def total(self, name: str, **labels: str) -> float | None:
        """Return the sum of the samples with this name and these labels; None without any."""
        values = [value for _, value in self._matching(name, labels)]
        return sum(values) if values else None

    def totals_by(self, name: str, label: str, **labels: str) -> dict[str, float]:
        """Return the sums of the samples with this name by the value of a label."""
        totals: dict[str, float] = {}
        for own, value in self._matching(name, labels):
            totals[own.get(label, "")] = totals.get(own.get(label, ""), 0.0) + value
        return totals

    def quantile(self, name: str, share: float) -> float | None:
        """Return the upper bound of the histogram bucket of this quantile; None without observations."""
        buckets = sorted(
            (float(bound), count) for bound, count in self.totals_by(f"{name}_bucket", "le").items() if bound
        )
        if not buckets or not buckets[-1][1]:
            return None
        within = (bound for bound, count in buckets if count >= share * buckets[-1][1])
        bound = next(within)
        return bound if bound != float("inf") else buckets[-2][0]

    def _matching(self, name: str, labels: dict[str, str]) -> Iterable[tuple[dict[str, str], float]]:
        wanted = set(labels.items())
        for (sample, own), value in self.samples.items():
            if sample == name and wanted <= own:
                yield dict(own), value
