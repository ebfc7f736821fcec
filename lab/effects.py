"""From rounds to the effect on one metric, by the method that suits what the metric is."""

from collections.abc import Sequence

from lab.metric import Metric
from lab.pooled import quantile_effect
from lab.rounds import Round
from lab.statistics import Effect, paired_effect


def effect_of(metric: Metric, rounds: Sequence[Round], *, off: str, on: str, confidence: float = 0.95) -> Effect:
    """Return the effect from the rounds in which both arms tell; without an interval where rounds tell nothing new."""
    pairs = [(metric.of(r.slots[off]), metric.of(r.slots[on])) for r in rounds]
    both = [(before, after) for before, after in pairs if before is not None and after is not None]
    if metric.quantile is not None and both:
        before, after = ([metric.quantile.of(r.slots[arm]) for r in rounds] for arm in (off, on))
        return quantile_effect(before, after, metric.quantile.share, confidence=confidence)
    if metric.varies_by_round and (both or not pairs):
        return paired_effect(
            [before for before, _ in both],
            [after for _, after in both],
            better=metric.better,
            confidence=confidence,
            trials_on=float(sum(r.slots[on].opened.answers.total() for r in rounds)),
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
