"""The result of two arms: effects, precision, validity, and notes on what limits them."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from lab.analysis.effects import effect_of, expected_detectable
from lab.analysis.result import ArmResult, ExperimentResult, MetricResult, summarised
from lab.analysis.statistics import MIN_ROUNDS, Effect
from lab.experiments import Experiment
from lab.load.recording import Recording
from lab.measure.metric import metric_named
from lab.measure.rounds import Measurement, Round

TIGHT_POWER: Final = 0.25
"""A ratio is precise enough if its interval is within this share of it on the log scale: 40 within a factor of 2.5."""
TIGHT_FACTOR: Final = 1.02
"""So is one within 2 % of itself. A wider limit would end equal runs whose intervals are narrow by chance, and miss."""
TIGHT_SHARE: Final = 0.2
"""So is a difference whose interval is this share of the larger arm wide."""

MOST_NOT_FOUND: Final = 0.05
"""Four destinations are missing from the data, so a few responses are 404; more indicate a failing arm."""


def is_precise(headline: str, rounds: Sequence[Round], *, off: str, on: str) -> bool:
    """Return whether the headline's interval is narrow enough to stop."""
    return is_narrow(effect_of(metric_named(headline), rounds, off=off, on=on))


def is_narrow(effect: Effect) -> bool:
    difference = effect.difference
    if difference is not None and difference.high is not None:
        off_mean, on_mean = effect.off or 0.0, effect.on or 0.0
        return difference.high - difference.low <= TIGHT_SHARE * max(off_mean, on_mean)
    if effect.ratio is None or effect.interval is None:
        return effect.on == 0 and effect.interval is not None  # 0 cannot become more precise
    whole = max(effect.ratio, 1 / effect.ratio)
    return effect.interval.widest_factor(effect.ratio) <= max(TIGHT_FACTOR, float(whole**TIGHT_POWER))


def compared(experiment: Experiment, measured: Measurement, *, sides: Mapping[str, frozenset[str]]) -> ExperimentResult:
    """Compare two of the measured arms; `sides` are their techniques by name, first without, then with."""
    off, on = sides
    before, after, metrics, rounds = summarised(measured, sides=sides, headline=experiment.headline)
    has_rejections = any(_rejections(_arm_rounds(measured, arm)) for arm in sides) and not experiment.expects_statuses
    has_unexpected = bool(before.unexpected or after.unexpected)
    if has_unexpected:
        metrics = {name: each.model_copy(update={"verdict": "no difference seen"}) for name, each in metrics.items()}
    headline = metrics.get(experiment.headline)
    return ExperimentResult(
        name=experiment.name,
        title=experiment.title,
        question=experiment.question,
        mix=experiment.mix,
        headline=experiment.headline,
        verdict=headline.verdict if headline else "no difference seen",
        expected_detectable=expected_detectable(
            metric_named(experiment.headline), requests=measured.requests_per_round, rounds=len(rounds)
        )
        if measured.requests_per_round and len(rounds) >= MIN_ROUNDS
        else None,
        off=before,
        on=after,
        metrics=metrics,
        costs=list(experiment.costs),
        rate_per_s=measured.rate_per_s,
        rounds=rounds,
        discarded_rounds=measured.discarded,
        late_rounds=measured.late_rounds,
        is_valid=not (measured.late_rounds or measured.is_saturated or has_rejections or has_unexpected),
        is_complete=not (measured.is_interrupted or measured.failure),
        not_profiled=measured.not_profiled,
        notes=[
            *_notes(measured, sides=() if experiment.expects_statuses else (off, on)),
            *_unexpected_notes(before, after),
            *_cache_notes(after),
            *_sight_notes(headline, experiment.limits),
        ],
    )


def _rejections(arm_rounds: Sequence[Recording]) -> Counter[int]:
    """Count unexpected 4xx responses by status; a few 404 are expected."""
    rejections = Counter[int]()
    for arm_round in arm_rounds:
        rejections.update({status: count for status, count in arm_round.statuses.items() if 400 <= status < 500})
    if rejections[404] <= MOST_NOT_FOUND * sum(arm_round.requests for arm_round in arm_rounds):
        del rejections[404]
    return rejections


def _arm_rounds(measured: Measurement, arm: str) -> list[Recording]:
    return [round_.arms[arm].open_loop for round_ in measured.rounds]


def _cache_notes(arm: ArmResult) -> Iterator[str]:
    """State warm and cold caches apart: the mean over both depends on how many requests hit."""
    if arm.hits is None:
        return
    missed = arm.misses.responses if arm.misses else 0
    share = arm.hits.responses / (arm.hits.responses + missed)
    yield (
        f"Warm caches: {share * 100:.0f} % of the cacheable responses of {arm.name} were hits, with a mean latency of "
        f"{arm.hits.mean_s * 1000:.3g} ms"
        + (f"; that of misses was {arm.misses.mean_s * 1000:.3g} ms." if arm.misses else ".")
    )
    if arm.cold is not None:
        yield (
            f"Cold caches: the first request for each of {arm.cold.responses} targets took {arm.name} "
            f"{arm.cold.mean_s * 1000:.3g} ms on average. It counts in no other figure."
        )


def _sight_notes(headline: MetricResult | None, limits: str) -> Iterator[str]:
    """State which difference the run could have seen, if it saw none, and why there may be none."""
    if headline is None or headline.verdict != "no difference seen":
        return
    if limits:
        yield limits
    if headline.more_rounds:
        yield f"Too few requests for a verdict: {headline.more_rounds} more rounds needed."
    elif headline.detectable is not None:
        yield (
            f"A difference of {(headline.detectable - 1) * 100:.0f} % in {headline.title} would have been seen with a "
            "probability of 80 %."
        )


def _unexpected_notes(*arms: ArmResult) -> Iterator[str]:
    for arm in arms:
        if arm.unexpected:
            most = max(arm.unexpected, key=arm.unexpected.__getitem__)
            yield (
                f"Not valid: {arm.name} responded {sum(arm.unexpected.values())} times with another status than "
                f"expected, mostly {most}. A service that fails is no faster one, so there is no verdict."
            )


def _notes(measured: Measurement, *, sides: Sequence[str]) -> Iterator[str]:
    """State what limits the figures; `sides` are the arms whose traffic names no expected statuses."""
    rounds = len(measured.rounds)
    if measured.is_interrupted:
        yield f"Interrupted after {rounds} rounds; the figures are those of these rounds."
    if measured.failure:
        yield f"Ended after {rounds} rounds: {measured.failure}"
    if measured.is_saturated:
        yield (
            "Not valid: an arm was saturated even at the lowest rate, so its latencies measure the length of the run, "
            "not the service."
        )
    if measured.late_rounds:
        yield (
            f"Not valid: this machine was too busy. The load generator was late in {measured.late_rounds} of {rounds} "
            "rounds, and their latencies include its delay."
        )
    if measured.discarded:
        yield f"Rounds repeated because the load generator was late: {measured.discarded}."
    if rounds < MIN_ROUNDS:
        yield f"Fewer than {MIN_ROUNDS} rounds are too few for a confidence interval, so there is no verdict."
    for name in sides:
        arm_rounds = _arm_rounds(measured, name)
        errors, requests = (
            sum(arm_round.server_errors for arm_round in arm_rounds),
            sum(arm_round.requests for arm_round in arm_rounds),
        )
        rejections = _rejections(arm_rounds)
        if rejections:
            status, _ = rejections.most_common(1)[0]
            yield (
                f"Not valid: {name} rejected {rejections.total()} of {requests} requests, mostly with {status}. "
                "Rejections are fast, so they bias its latencies downwards."
            )
        if errors:
            yield f"{errors} of {requests} requests to {name} failed; its latencies include the failed ones."
