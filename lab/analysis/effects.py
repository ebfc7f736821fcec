"""The effect on one metric, computed from rounds by the method that suits the metric."""

from collections.abc import Sequence
from dataclasses import replace
from math import ceil
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit  # type: ignore[import-untyped]  # scipy ships no types

from lab.analysis.statistics import (
    MIN_ROUNDS,
    Effect,
    Interval,
    counted_effect,
    effect_with_verdict,
    paired_effect,
)
from lab.load.latencies import Latencies
from lab.measure.metric import Metric
from lab.measure.rounds import Round

RESAMPLES: Final = 400
NOISE: Final = {
    "typical_s": 1.4,
    "mean_s": 1.6,
    "p50_s": 2.0,
    "throughput_per_s": 1.0,
    "cpu_per_request_s": 0.6,
    "loop_lag_mean_s": 2.1,
}
"""Standard deviation of a round's log-ratio, times the root of its requests: the median over the 18 experiments of
`flightdeck lab run all --quick` on two cores. The same metric of one kind of request has the same."""
NOISE_OF_COUNT: Final = 0.4
"""The same for bytes, queries and connects, which differ by what the clients have stored."""
MIN_BEYOND: Final = 3
"""Requests above the quantile that each arm needs for an interval."""


def quantile_effect(
    off: Sequence[Latencies], on: Sequence[Latencies], share: float, *, confidence: float = 0.95
) -> Effect:
    """Return the effect on the quantile of this share; equal positions are the same round."""
    if len(off) != len(on):
        raise ValueError(f"{len(off)} rounds off and {len(on)} rounds on are not pairs")
    both = [(before, after) for before, after in zip(off, on, strict=True) if len(before) and len(after)]
    if not both:
        return effect_with_verdict(None, None, None, None, rounds=0)
    before, after = (_Pool(latencies) for latencies in zip(*both, strict=True))
    rounds = len(both)
    whole = np.ones((1, rounds))
    slow, fast = float(before.quantiles(whole, share)[0]), float(after.quantiles(whole, share)[0])
    requests = min(before.requests, after.requests)
    if rounds < MIN_ROUNDS or requests < min_requests(share):
        needed = max(MIN_ROUNDS, ceil(min_requests(share) / requests * rounds))
        return replace(effect_with_verdict(slow, fast, slow / fast, None, rounds=rounds), more_rounds=needed - rounds)
    picks = np.random.default_rng(0).multinomial(rounds, np.full(rounds, 1 / rounds), size=RESAMPLES).astype(float)
    logs = np.log(before.quantiles(picks, share)) - np.log(after.quantiles(picks, share))
    error = float(logs.std(ddof=1)) * np.sqrt(rounds / (rounds - 1))
    reach = float(stdtrit(rounds - 1, (1 + confidence) / 2)) * error
    middle = np.log(slow) - np.log(fast)
    detectable = np.exp(reach + float(stdtrit(rounds - 1, 0.8)) * error)
    interval = Interval(low=float(np.exp(middle - reach)), high=float(np.exp(middle + reach)))
    return effect_with_verdict(slow, fast, slow / fast, interval, float(detectable), rounds=rounds)


def expected_detectable(metric: Metric, *, requests: int, rounds: int) -> float:
    """Return the smallest effect that rounds of this many requests are expected to show with a probability of 80 %."""
    noise = NOISE.get(metric.name.rpartition(".")[2], NOISE["p50_s"] if metric.unit == "s" else NOISE_OF_COUNT)
    reach = stdtrit(rounds - 1, 0.975) + stdtrit(rounds - 1, 0.8)
    return float(np.exp(reach * noise / np.sqrt(rounds * requests)))


def min_requests(share: float) -> int:
    """Return how many requests per arm the interval of this quantile needs."""
    return ceil(MIN_BEYOND / (1 - share) - 1e-9)


class _Pool:
    """The latencies of one arm as a matrix, rounds by durations."""

    def __init__(self, rounds: Sequence[Latencies]) -> None:
        counted = [latencies.counts() for latencies in rounds]
        durations = sorted({duration for counts in counted for duration in counts})
        self._seconds: NDArray[np.float64] = np.array(durations) / 1e6
        self._table: NDArray[np.float64] = np.array(
            [[counts.get(duration, 0) for duration in durations] for counts in counted], dtype=float
        )
        self.requests = int(self._table.sum())

    def quantiles(self, weights: NDArray[np.float64], share: float) -> NDArray[np.float64]:
        """Return the quantile in seconds for each row of weights; a row has one weight per round."""
        seen = np.cumsum(weights @ self._table, axis=1)
        reached = seen >= share * seen[:, -1:] - 1e-9  # tolerance for rounding errors
        return np.asarray(self._seconds[reached.argmax(axis=1)])


def effect_of(metric: Metric, rounds: Sequence[Round], *, off: str, on: str, confidence: float = 0.95) -> Effect:
    """Return the effect over the rounds that have a value for both arms; no interval if it does not vary by round."""
    pairs = [(metric.of(r.arms[off]), metric.of(r.arms[on])) for r in rounds]
    both = [(before, after) for before, after in pairs if before is not None and after is not None]
    if metric.quantile is not None and both:
        before, after = ([metric.quantile.of(r.arms[arm]) for r in rounds] for arm in (off, on))
        return quantile_effect(before, after, metric.quantile.share, confidence=confidence)
    if metric.parts is not None and both:
        counted = [(metric.parts(r.arms[off]), metric.parts(r.arms[on])) for r in rounds]
        parts = [(before, after) for before, after in counted if before is not None and after is not None]
        if all(before[0] > 0 and after[0] > 0 for before, after in parts):
            return counted_effect([before for before, _ in parts], [after for _, after in parts], confidence=confidence)
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
