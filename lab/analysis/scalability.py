"""How throughput grows with concurrency: the Universal Scalability Law (N. Gunther, "Guerrilla Capacity Planning")."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls  # type: ignore[import-untyped]  # scipy ships no types


@dataclass(frozen=True, kw_only=True)
class ScalabilityLaw:
    """Throughput at concurrency N: `rate * N / (1 + contention * (N - 1) + coherence * N * (N - 1))`."""

    rate_per_s: float
    """Throughput of a single client."""
    contention: float
    """Share of the work that is serialized."""
    coherence: float
    """Cost per pair of clients; above 0 the throughput has a maximum."""

    def throughput(self, clients: float) -> float:
        waiting = self.contention * (clients - 1) + self.coherence * clients * (clients - 1)
        return self.rate_per_s * clients / (1 + waiting)

    @property
    def knee(self) -> float | None:
        """The concurrency of the highest throughput; None if it grows without limit."""
        return sqrt(max(1 - self.contention, 0) / self.coherence) if self.coherence > 0 else None


def fitted(clients: Sequence[float], throughput_per_s: Sequence[float]) -> ScalabilityLaw:
    """Return the best fit; raise `ValueError` with fewer than three measurements.

    In the form N/X = a + b (N - 1) + c N (N - 1) the law is linear, and its coefficients are never negative.
    """
    if len(clients) < 3 or len(clients) != len(throughput_per_s):
        raise ValueError(
            f"{len(clients)} concurrencies and {len(throughput_per_s)} throughputs: three pairs are needed"
        )
    number: NDArray[np.float64] = np.asarray(clients, dtype=float)
    per_response = number / np.asarray(throughput_per_s, dtype=float)
    terms = np.column_stack([np.ones_like(number), number - 1, number * (number - 1)])
    weights = 1 / per_response  # relative errors count the same at every concurrency
    (alone, contention, coherence), _ = nnls(terms * weights[:, None], per_response * weights)
    return ScalabilityLaw(
        rate_per_s=float(1 / alone), contention=float(contention / alone), coherence=float(coherence / alone)
    )
