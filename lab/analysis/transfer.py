"""What a content coding does to each body: bytes, CPU time, and time until the last byte over a link."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import exp, log
from statistics import fmean
from typing import Final

LINKS_BIT_PER_S: Final = {"1 Mbit/s": 1e6, "10 Mbit/s": 1e7, "100 Mbit/s": 1e8, "1000 Mbit/s": 1e9}


@dataclass(frozen=True, kw_only=True)
class CodedBodies:
    """All bodies in one content coding at one level; mappings are by the name of the body."""

    coding: str
    level: int | None
    """None: identity."""
    before_bytes: Mapping[str, int]
    after_bytes: Mapping[str, int]
    cpu_s: Mapping[str, float]

    @property
    def name(self) -> str:
        return self.coding if self.level is None else f"{self.coding} {self.level}"

    @property
    def bytes_share(self) -> float:
        """Compressed size as a share of the original, geometric mean over the bodies."""
        return geometric_mean(self.after_bytes[body] / size for body, size in self.before_bytes.items())

    @property
    def cpu_per_mb_s(self) -> float:
        """CPU seconds per megabyte, mean over the bodies."""
        return fmean(self.cpu_s[body] / size * 1e6 for body, size in self.before_bytes.items())

    def total_s(self, body: str, link: str) -> float:
        """Return CPU time plus transfer time."""
        return self.cpu_s[body] + 8 * self.after_bytes[body] / LINKS_BIT_PER_S[link]

    def typical_s(self, link: str) -> float:
        """Return the geometric mean of `total_s` over the bodies."""
        return geometric_mean(self.total_s(body, link) for body in self.before_bytes)


def geometric_mean(values: Iterable[float]) -> float:
    return exp(fmean(log(value) for value in values))
