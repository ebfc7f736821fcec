"""From rounds to what they say: the result of two arms, whether it is precise enough, and what weakens it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from lab.analysis.effects import effect_of, requests_needed
from lab.analysis.result import ExperimentResult, summarised
from lab.analysis.statistics import MIN_ROUNDS
from lab.experiments import Experiment
from lab.load.recording import Recording
from lab.measure.metric import metric_named
from lab.measure.rounds import Measurement, Round

TIGHT_FACTOR: Final = 1.1
"""An interval that ends within a tenth of the ratio is tight enough."""
TIGHT_POWER: Final = 0.25
"""So is one whose ends are this share of the whole effect away, on the log scale: 40 times, give or take 2.5 times."""
TIGHT_SHARE: Final = 0.2
"""So is a difference that is known to a tenth of the larger arm, up or down."""

MOST_NOT_FOUND: Final = 0.05
"""Four airports that people fly to are in no table: a few 404 are in the data, more are an arm that fails."""


def is_tight(headline: str, rounds: Sequence[Round], *, off: str, on: str) -> bool:
    """Return whether the headline's interval is narrow enough to stop."""
    effect = effect_of(metric_named(headline), rounds, off=off, on=on)
    difference = effect.difference
    if difference is not None and difference.high is not None:
        off_mean, on_mean = effect.off or 0.0, effect.on or 0.0
        return difference.high - difference.low <= TIGHT_SHARE * max(off_mean, on_mean)
    if effect.ratio is None or effect.interval is None:
        return effect.on == 0 and effect.interval is not None  # nothing left to measure more precisely
    whole = max(effect.ratio, 1 / effect.ratio)
    return effect.interval.widest_factor(effect.ratio) <= max(TIGHT_FACTOR, float(whole**TIGHT_POWER))


def compared(experiment: Experiment, measured: Measurement, *, sides: Mapping[str, frozenset[str]]) -> ExperimentResult:
    """Return the result of two of the measured arms, named with their techniques: first without, then with."""
    off, on = sides
    before, after, metrics, rounds = summarised(measured, sides=sides, headline=experiment.headline)
    headline = metrics.get(experiment.headline)
    is_refused = any(_refused(_arm_rounds(measured, arm)) for arm in sides)
    return ExperimentResult(
        name=experiment.name,
        title=experiment.title,
        question=experiment.question,
        mix=experiment.mix,
        headline=experiment.headline,
        verdict=headline.verdict if headline else "no difference seen",
        off=before,
        on=after,
        metrics=metrics,
        costs=list(experiment.costs),
        rate_per_s=measured.rate_per_s,
        rounds=rounds,
        discarded_rounds=measured.discarded,
        late_rounds=measured.late_rounds,
        is_valid=not (measured.late_rounds or measured.is_saturated or is_refused),
        is_complete=not (measured.is_interrupted or measured.failure),
        notes=list(_notes(measured, experiment.headline, off=off, on=on)),
    )


def _refused(arm_rounds: Sequence[Recording]) -> Counter[int]:
    """Return how often each 4xx was answered that none of the lab's requests deserves; a few 404 are answers."""
    refused = Counter[int]()
    for arm_round in arm_rounds:
        refused.update({status: count for status, count in arm_round.statuses.items() if 400 <= status < 500})
    if refused[404] <= MOST_NOT_FOUND * sum(arm_round.requests for arm_round in arm_rounds):
        del refused[404]
    return refused


def _arm_rounds(measured: Measurement, arm: str) -> list[Recording]:
    return [round_.arms[arm].open_loop for round_ in measured.rounds]


def _notes(measured: Measurement, headline: str, *, off: str, on: str) -> Iterator[str]:
    rounds = len(measured.rounds)
    if measured.is_interrupted:
        yield f"Interrupted after {rounds} rounds; the figures are of those."
    if measured.failure:
        yield f"Ended after {rounds} rounds: {measured.failure}"
    if measured.is_saturated:
        yield "An arm could not keep up even with the lowest rate: its latencies tell how long the run was."
    if measured.late_rounds:
        yield (
            f"Not valid: this machine was too busy. The load generator was late in {measured.late_rounds} of {rounds} "
            "rounds, and its delay is in their latencies."
        )
    if measured.discarded:
        yield f"Rounds measured again because the load generator was late in them: {measured.discarded}."
    metric = metric_named(headline)
    if rounds >= MIN_ROUNDS and metric.quantile is not None:
        pooled = effect_of(metric, measured.rounds, off=off, on=on)
        if pooled.ratio is not None and pooled.interval is None:
            needed = requests_needed(metric.quantile.share)
            yield f"Too few requests for an interval of the {metric.title}: it takes {needed} to each arm."
    if rounds < MIN_ROUNDS:
        yield f"Fewer than {MIN_ROUNDS} rounds give no interval, and without one nothing is claimed."
    for name in (off, on):
        arm_rounds = _arm_rounds(measured, name)
        errors, requests = (
            sum(arm_round.server_errors for arm_round in arm_rounds),
            sum(arm_round.requests for arm_round in arm_rounds),
        )
        refused = _refused(arm_rounds)
        if refused:
            status, _ = refused.most_common(1)[0]
            yield (
                f"Not valid: {name} refused {refused.total()} of {requests} requests, mostly with {status}. "
                "A refusal is quick, so its latencies flatter it."
            )
        if errors:
            yield f"{errors} of {requests} requests to {name} failed; its latencies include the failed ones."
