"""Effects with intervals, from paired rounds.

Every round measures both arms under the same requests, one directly after the other, so the ratio within a round
cancels what both arms share (a busy machine, a slow disk). The effect is the geometric mean of the rounds' ratios.

The interval is the wider, at each end, of the studentized bootstrap (Efron and Tibshirani, "An Introduction to the
Bootstrap", 12.5: right for skewed ratios) and Student's t (right for heavy tails with few rounds). Neither alone keeps
its coverage on both kinds of noise with four to twenty rounds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, log
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit  # type: ignore[import-untyped]  # scipy ships no types

from lab.measure.metric import Better

Verdict = Literal["helps", "no difference seen", "hurts"]

MIN_ROUNDS: Final = 4
"""Rounds that an interval needs."""
PRACTICAL: Final = 1.05
"""A ratio nearer to 1 than this is of no practical importance."""
RESAMPLES_IN_TAIL: Final = 25
"""Resamples beyond each end of an interval, for a stable estimate."""
STUDENTIZED_CAP: Final = 2.5
"""Limit of an end, in Student's t: a resample of four rounds can have almost no spread."""
TOO_WIDE: Final = 100.0
"""An interval whose ends differ by this factor says nothing."""
USEFUL: Final = 4.0
"""One whose ends differ by this factor does: within a factor of two on each side."""
RULE_OF_THREE: Final = 3.0
"""No event in n trials: the rate is below 3/n with 95 % confidence."""


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A confidence interval; `high` is None without an upper end."""

    low: float
    high: float | None

    def contains(self, value: float) -> bool:
        return self.low <= value and (self.high is None or value <= self.high)

    def widest_factor(self, ratio: float) -> float:
        """Return the factor between the ratio and its farther end, at least 1; infinity without an end."""
        if self.high is None or self.low <= 0:
            return float("inf")
        return max(ratio / self.low, self.high / ratio)


@dataclass(frozen=True, kw_only=True)
class Effect:
    """One metric of an experiment: both arms, their ratio and its interval.

    The ratio is above 1 where the technique makes the metric better: off/on where lower is better, on/off where
    higher is better. It is None if it is not finite (0 with the technique on) or was not measured.
    """

    off: float | None
    on: float | None
    ratio: float | None
    interval: Interval | None
    detectable: float | None
    """The smallest ratio that would be detected with a probability of 80 %, given the rounds and their noise."""
    rounds: int
    verdict: Verdict
    difference: Interval | None = None
    """The interval of on - off, if an arm counted zero in a round."""
    more_rounds: int = 0
    """Rounds that are missing for an interval that says something."""


def paired_effect(
    off: Sequence[float], on: Sequence[float], *, better: Better, confidence: float = 0.95, trials_on: float = 0.0
) -> Effect:
    """Return the effect from one value per arm and round; equal positions are the same round.

    `trials_on` is the number of requests with the technique on; if they counted zero events, it bounds the rate.
    """
    if len(off) != len(on):
        raise ValueError(f"{len(off)} rounds off and {len(on)} rounds on are not pairs")
    before, after = np.asarray(off, dtype=float), np.asarray(on, dtype=float)
    if not len(before):
        return effect_with_verdict(None, None, None, None, rounds=0)
    if better == "higher":
        before, after = after, before
    if (before > 0).all() and (after > 0).all():
        effect = _from_logs(before, after, confidence)
    else:
        effect = _from_totals(before, after, confidence, trials_on)
    if better == "higher":
        return replace(effect, off=effect.on, on=effect.off, difference=_negated(effect.difference))
    return effect


def counted_effect(
    off: Sequence[tuple[float, float]], on: Sequence[tuple[float, float]], *, confidence: float = 0.95
) -> Effect:
    """Return the effect on a count per request, from the count and the requests of every round; lower is better.

    The figures are those of all rounds together, so that a round with few heavy requests weighs what it should. The
    interval is that of the mean of the jackknife's pseudovalues, which leave out one round each (Tukey 1958; Efron and
    Tibshirani, 11.5): rounds have the same composition, and are replicates of one sample.
    """
    before, after = np.asarray(off, dtype=float), np.asarray(on, dtype=float)
    rounds = len(before)

    def log_ratio(firsts: NDArray[np.float64], seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        (counts, requests), (counts_on, requests_on) = firsts.T, seconds.T
        return np.asarray(np.log(counts / requests) - np.log(counts_on / requests_on))

    whole = float(log_ratio(before.sum(axis=0), after.sum(axis=0)))
    values = np.full(rounds, whole)
    if rounds > 1:
        values = rounds * whole - (rounds - 1) * log_ratio(before.sum(axis=0) - before, after.sum(axis=0) - after)
    per_request, per_request_on = (float(each[:, 0].sum() / each[:, 1].sum()) for each in (before, after))
    return _from_log_ratios(per_request, per_request_on, whole + values - values.mean(), confidence)


def mean_interval(
    values: NDArray[np.float64], *, confidence: float = 0.95, seed: int = 0
) -> tuple[float, float] | None:
    """Return the interval of the mean of independent values; None with fewer than `MIN_ROUNDS`."""
    count = len(values)
    if count < MIN_ROUNDS:
        return None
    mean, error = float(values.mean()), float(values.std(ddof=1)) / np.sqrt(count)
    if error == 0:
        return mean, mean
    tail = (1 - confidence) / 2
    student = float(stdtrit(count - 1, 1 - tail))
    samples = np.random.default_rng(seed).choice(values, (_resamples(tail), count))
    spread = samples.std(axis=1, ddof=1) / np.sqrt(count)
    kept = spread > 0  # a resample of equal values cannot be studentized
    low_t, high_t = np.quantile((samples.mean(axis=1)[kept] - mean) / spread[kept], [tail, 1 - tail])
    below, above = (min(max(student, float(end)), STUDENTIZED_CAP * student) for end in (high_t, -low_t))
    return mean - below * error, mean + above * error


def verdict_of(ratio: float | None, interval: Interval | None) -> Verdict:
    """Return the verdict that the interval supports; a ratio within `PRACTICAL` of 1 is no difference."""
    if interval is None:
        return "no difference seen"
    if interval.low > 1 and (ratio is None or ratio >= PRACTICAL):
        return "helps"
    if interval.high is not None and interval.high < 1 and ratio is not None and ratio <= 1 / PRACTICAL:
        return "hurts"
    return "no difference seen"


def effect_with_verdict(
    off: float | None,
    on: float | None,
    ratio: float | None,
    interval: Interval | None,
    detectable: float | None = None,
    *,
    rounds: int,
) -> Effect:
    return Effect(
        off=off,
        on=on,
        ratio=ratio,
        interval=interval,
        detectable=detectable,
        rounds=rounds,
        verdict=verdict_of(ratio, interval),
        more_rounds=_more_rounds(interval, rounds),
    )


def _more_rounds(interval: Interval | None, rounds: int) -> int:
    """Return how many more rounds make a too wide interval useful: its width falls with the root of their number."""
    if interval is None:
        return max(MIN_ROUNDS - rounds, 0)
    if interval.high is None or interval.low <= 0 or interval.high <= TOO_WIDE * interval.low:
        return 0
    return ceil(rounds * (log(interval.high / interval.low) / log(USEFUL)) ** 2) - rounds


def _resamples(tail: float) -> int:
    return round(RESAMPLES_IN_TAIL / tail)


def _from_logs(before: NDArray[np.float64], after: NDArray[np.float64], confidence: float) -> Effect:
    off, on = (float(np.exp(np.log(each).mean())) for each in (before, after))
    return _from_log_ratios(off, on, np.log(before) - np.log(after), confidence)


def _from_log_ratios(off: float, on: float, logs: NDArray[np.float64], confidence: float) -> Effect:
    """Return the effect whose logarithm is the mean of these values, one per round."""
    rounds = len(logs)
    ends = mean_interval(logs, confidence=confidence)
    detectable = None
    if rounds >= MIN_ROUNDS:
        reach = stdtrit(rounds - 1, (1 + confidence) / 2) + stdtrit(rounds - 1, 0.8)
        detectable = float(np.exp(reach * logs.std(ddof=1) / np.sqrt(rounds)))
    return effect_with_verdict(
        off,
        on,
        float(np.exp(logs.mean())),
        Interval(low=float(np.exp(ends[0])), high=float(np.exp(ends[1]))) if ends else None,
        detectable,
        rounds=rounds,
    )


def _from_totals(
    before: NDArray[np.float64], after: NDArray[np.float64], confidence: float, trials_after: float
) -> Effect:
    """Return the effect if a round counted zero: its ratio has no bounds, so the difference gives the verdict."""
    rounds = len(before)
    off, on = float(before.mean()), float(after.mean())
    ends = mean_interval(after - before, confidence=confidence)
    if (off == 0 and on == 0) or ends is None:
        return effect_with_verdict(off, on, off / on if off and on else None, None, rounds=rounds)
    difference = Interval(low=ends[0], high=ends[1])
    ratio = off / on if off and on else None
    effect = effect_with_verdict(
        off, on, ratio, _ratio_interval(before, after, confidence, trials_after), rounds=rounds
    )
    return replace(effect, difference=difference, verdict=_verdict_of_difference(ratio, ends))


def _ratio_interval(
    before: NDArray[np.float64], after: NDArray[np.float64], confidence: float, trials_after: float
) -> Interval:
    """Return the interval of the ratio of means over resampled rounds; it may have no upper end."""
    tail = (1 - confidence) / 2
    picks = np.random.default_rng(0).integers(0, len(before), (_resamples(tail), len(before)))
    befores, afters = before[picks].mean(axis=1), after[picks].mean(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.nan_to_num(befores / afters, nan=1.0, posinf=np.inf)
    low, high = (float(end) for end in np.quantile(ratios, [tail, 1 - tail], method="nearest"))
    if not after.any():
        low = float(np.quantile(befores, tail)) / (RULE_OF_THREE / trials_after) if trials_after > 0 else 0.0
    return Interval(low=low, high=high if np.isfinite(high) else None)


def _verdict_of_difference(ratio: float | None, ends: tuple[float, float]) -> Verdict:
    """Return the verdict for an interval of after - before, lower being better."""
    if ends[1] < 0 and (ratio is None or ratio >= PRACTICAL):
        return "helps"
    if ends[0] > 0 and (ratio is None or ratio <= 1 / PRACTICAL):
        return "hurts"
    return "no difference seen"


def _negated(difference: Interval | None) -> Interval | None:
    if difference is None or difference.high is None:
        return None
    return Interval(low=-difference.high, high=-difference.low)
