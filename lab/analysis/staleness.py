"""The age of stale responses, measured by a client that knows when each write was acknowledged."""

from bisect import bisect_right
from dataclasses import dataclass, field

import numpy as np


@dataclass(kw_only=True)
class VersionLog:
    """When each version of one row was acknowledged, ascending, on the client's clock."""

    versions: list[int] = field(default_factory=list)
    acknowledged_at: list[float] = field(default_factory=list)

    def acknowledge(self, version: int, at: float) -> None:
        self.versions.append(version)
        self.acknowledged_at.append(at)

    def age_s(self, version: int, requested_at: float) -> float:
        """Return how long the version had been outdated at the time of the request; 0 if it was current.

        The age counts from the first write that the response misses, if that was acknowledged before the request:
        a write in progress may be visible or not.
        """
        first_missed = bisect_right(self.versions, version)
        return max(0.0, requested_at - self.acknowledged_at[first_missed]) if first_missed < len(self.versions) else 0.0


@dataclass(kw_only=True)
class StalenessStats:
    """Hits and ages of the responses of one process."""

    hits: int = 0
    ages_s: list[float] = field(default_factory=list)
    """One per response; 0 if it was current."""

    def add(self, age_s: float, *, is_hit: bool) -> None:
        self.hits += is_hit
        self.ages_s.append(age_s)

    @property
    def hit_ratio(self) -> float | None:
        return self.hits / len(self.ages_s) if self.ages_s else None

    @property
    def stale_ages_s(self) -> list[float]:
        return [age for age in self.ages_s if age > 0]

    @property
    def stale_share(self) -> float | None:
        return len(self.stale_ages_s) / len(self.ages_s) if self.ages_s else None

    def stale_age_s(self, share: float) -> float | None:
        """Return the quantile of the ages of stale responses; None without any."""
        ages = self.stale_ages_s
        return float(np.quantile(ages, share)) if ages else None
