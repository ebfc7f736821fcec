"""From rounds to the effect on one metric, by the method that suits what the metric is."""

from collections.abc import Sequence
from math import ceil
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit  # type: ignore[import-untyped]  # scipy ships no types

from lab.analysis.statistics import MIN_ROUNDS, Effect, Interval, judged, paired_effect
from lab.load.latencies import Latencies
from lab.measure.metric import Metric
from lab.measure.rounds import Round

RESAMPLES: Final = 400
FEWEST_BEYOND: Final = 3
"""With fewer requests above the quantile in an arm, its place is anybody's guess, and no interval is given."""


def quantile_effect(
    off: Sequence[Latencies], on: Sequence[Latencies], share: float, *, confidence: float = 0.95
) -> Effect:
    """Return the effect on the quantile of this share, better when lower; equal positions are the same round."""
    if len(off) != len(on):
        raise ValueError(f"{len(off)} rounds off and {len(on)} rounds on are not pairs")
    both = [(before, after) for before, after in zip(off, on, strict=True) if len(before) and len(after)]
    if not both:
        return judged(None, None, None, None, rounds=0)
    before, after = (_Pool(latencies) for latencies in zip(*both, strict=True))
    rounds = len(both)
    whole = np.ones((1, rounds))
    slow, fast = float(before.quantiles(whole, share)[0]), float(after.quantiles(whole, share)[0])
    if rounds < MIN_ROUNDS or min(before.requests, after.requests) < requests_needed(share):
        return judged(slow, fast, slow / fast, None, rounds=rounds)
    picks = np.random.default_rng(0).multinomial(rounds, np.full(rounds, 1 / rounds), size=RESAMPLES).astype(float)
    logs = np.log(before.quantiles(picks, share)) - np.log(after.quantiles(picks, share))
    error = float(logs.std(ddof=1)) * np.sqrt(rounds / (rounds - 1))
    reach = float(stdtrit(rounds - 1, (1 + confidence) / 2)) * error
    middle = np.log(slow) - np.log(fast)
    detectable = np.exp(reach + float(stdtrit(rounds - 1, 0.8)) * error)
    interval = Interval(low=float(np.exp(middle - reach)), high=float(np.exp(middle + reach)))
    return judged(slow, fast, slow / fast, interval, float(detectable), rounds=rounds)


def requests_needed(share: float) -> int:
    """Return with how many requests to each arm this quantile has an interval."""
    return ceil(FEWEST_BEYOND / (1 - share) - 1e-9)


class _Pool:
    """The latencies of one arm, as a table of rounds by durations."""

    def __init__(self, rounds: Sequence[Latencies]) -> None:
        counted = [latencies.counts() for latencies in rounds]
        durations = sorted({duration for counts in counted for duration in counts})
        self._seconds: NDArray[np.float64] = np.array(durations) / 1e6
        self._table: NDArray[np.float64] = np.array(
            [[counts.get(duration, 0) for duration in durations] for counts in counted], dtype=float
        )
        self.requests = int(self._table.sum())

    def quantiles(self, weights: NDArray[np.float64], share: float) -> NDArray[np.float64]:
        """Return the quantile in seconds for each row of weights, one weight per round."""
        seen = np.cumsum(weights @ self._table, axis=1)
        reached = seen >= share * seen[:, -1:] - 1e-9  # rounding must not push a count over the edge
        return np.asarray(self._seconds[reached.argmax(axis=1)])


def effect_of(metric: Metric, rounds: Sequence[Round], *, off: str, on: str, confidence: float = 0.95) -> Effect:
    """Return the effect from the rounds in which both arms tell; without an interval where rounds tell nothing new."""
    pairs = [(metric.of(r.arms[off]), metric.of(r.arms[on])) for r in rounds]
    both = [(before, after) for before, after in pairs if before is not None and after is not None]
    if metric.quantile is not None and both:
        before, after = ([metric.quantile.of(r.arms[arm]) for r in rounds] for arm in (off, on))
        return quantile_effect(before, after, metric.quantile.share, confidence=confidence)
    if metric.varies_by_round and (both or not pairs):
        return paired_effect(
            [before for before, _ in both],
            [after for _, after in both],
            better=metric.better,
            confidence=confidence,
            trials_on=float(sum(r.arms[on].open_loop.responses.total() for r in rounds)),
        )
    return _without_interval(metric, pairs)


def _without_interval(metric: Metric, pairs: Sequence[tuple[float | None, float | None]]) -> Effect:
    befores, afters = ([value for value in values if value is not None] for values in zip(*pairs, strict=True))
    before = sum(befores) / len(befores) if befores else None
    after = sum(afters) / len(afters) if afters else None
    better, worse = (before, after) if metric.better == "lower" else (after, before)
    return Effect(
        off=before,
        on=after,
        ratio=better / worse if better and worse else None,
        interval=None,
        detectable=None,
        rounds=max(len(befores), len(afters)),
        verdict="no difference seen",
    )
