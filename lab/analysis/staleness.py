"""How old an answer was, as a client knows it who heard when each write was acknowledged."""

from bisect import bisect_right
from dataclasses import dataclass, field

import numpy as np


@dataclass(kw_only=True)
class Ledger:
    """When the versions of one row were acknowledged, ascending, by the client's own clock."""

    versions: list[int] = field(default_factory=list)
    acknowledged_at: list[float] = field(default_factory=list)

    def acknowledge(self, version: int, at: float) -> None:
        """Note that from now on nobody should be told of an older version."""
        self.versions.append(version)
        self.acknowledged_at.append(at)

    def age_s(self, version: int, asked_at: float) -> float:
        """Return for how long this version had been out of date when it was asked for; 0 if it was not.

        It counts from the first write that the answer misses, and only if that was acknowledged before anyone asked:
        a write that was still under way may be seen or not.
        """
        missed = bisect_right(self.versions, version)
        return max(0.0, asked_at - self.acknowledged_at[missed]) if missed < len(self.versions) else 0.0


@dataclass(kw_only=True)
class Observed:
    """The answers of one process to the readers of some rows."""

    hits: int = 0
    ages_s: list[float] = field(default_factory=list)
    """One per answer; 0 for an answer that was up to date."""

    def add(self, age_s: float, *, is_hit: bool) -> None:
        """Count an answer."""
        self.hits += is_hit
        self.ages_s.append(age_s)

    @property
    def hit_ratio(self) -> float | None:
        """The share of answers that were not computed for the request."""
        return self.hits / len(self.ages_s) if self.ages_s else None

    @property
    def stale_ages_s(self) -> list[float]:
        """The ages of answers that were out of date."""
        return [age for age in self.ages_s if age > 0]

    @property
    def stale_share(self) -> float | None:
        """The share of answers that were out of date."""
        return len(self.stale_ages_s) / len(self.ages_s) if self.ages_s else None

    def stale_age_s(self, share: float) -> float | None:
        """Return the age that this share of the answers that were out of date did not exceed; None where none was."""
        ages = self.stale_ages_s
        return float(np.quantile(ages, share)) if ages else None
