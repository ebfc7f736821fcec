"""The result of a run, as JSON with a schema: everything that a table, a report or a comparison needs."""

from collections.abc import Mapping
from typing import Final, Self

from pydantic import BaseModel, ConfigDict

from lab.analysis.effects import effect_of
from lab.analysis.environment import Environment
from lab.analysis.statistics import Effect, Verdict
from lab.analysis.sweep_result import SweepResult
from lab.load.latencies import Latencies
from lab.measure.metric import METRICS, SPECIAL, ArmRound, Better, Metric, metrics_of_kind
from lab.measure.rounds import Measurement
from lab.measure.trace import TraceResult

DECIDING: Final = 0.95
"""Confidence of the interval of the metric that decides an experiment."""
ACCOMPANYING: Final = 0.995
"""Of every other metric: there are about ten, and all their intervals together shall hold in 19 of 20 runs."""
OF_MANY: Final = 0.999
"""Of metrics of one kind of request, and of every metric of two equal arms: all forty of them shall hold together."""
SCHEMA_VERSION: Final = 2
"""Grows when a reader of an older version would misread a newer one."""


class MetricResult(BaseModel):
    """One metric of both arms. `ratio` is above 1 where the technique makes it better: off/on if lower is better,
    on/off if higher is; null where nothing is left to divide by. `interval` bounds the ratio with this `confidence`,
    without an upper end where that is null; it is null itself where there were too few rounds, and for what belongs to
    a process and not to a round."""

    title: str
    unit: str
    better: Better
    off: float | None
    on: float | None
    ratio: float | None
    interval: tuple[float, float | None] | None
    confidence: float
    detectable: float | None
    rounds: int
    verdict: Verdict
    difference: tuple[float, float] | None = None
    """Bounds on - off with the same confidence, and decides, where a round of an arm counted nothing."""

    @classmethod
    def of(cls, metric: Metric, effect: Effect, *, confidence: float) -> Self:
        """Return the metric's effect for the result."""
        return cls(
            title=metric.title,
            unit=metric.unit,
            better=metric.better,
            off=effect.off,
            on=effect.on,
            ratio=effect.ratio,
            interval=(effect.interval.low, effect.interval.high) if effect.interval else None,
            confidence=confidence,
            detectable=effect.detectable,
            rounds=effect.rounds,
            verdict=effect.verdict,
            difference=(effect.difference.low, effect.difference.high)
            if effect.difference and effect.difference.high is not None
            else None,
        )


class ArmResult(BaseModel):
    """What one arm showed over all rounds."""

    name: str
    techniques: list[str]
    requests: int
    server_errors: int
    capacity_per_s: float | None
    """Answers per second under the closed loop that set the rate."""
    latencies: dict[str, str]
    """By kind of request, in HdrHistogram's text form, in microseconds."""
    trace: TraceResult | None = None
    """One request after the rounds, the same for both arms, as the arm's own spans tell it."""

    def all_latencies(self) -> Latencies:
        """Return the latencies of all kinds together."""
        merged = Latencies()
        for text in self.latencies.values():
            merged.add(Latencies.decode(text))
        return merged


class RoundResult(BaseModel):
    """The metrics of one round."""

    at_s: float
    off: dict[str, float]
    on: dict[str, float]


class ExperimentResult(BaseModel):
    """One comparison of two arms."""

    name: str
    title: str
    question: str
    mix: str
    headline: str
    """The metric that decides the verdict."""
    verdict: Verdict
    off: ArmResult
    on: ArmResult
    metrics: dict[str, MetricResult]
    costs: list[str]
    rate_per_s: float
    rounds: list[RoundResult]
    discarded_rounds: int
    """Measured again because the load generator was late."""
    late_rounds: int
    """Kept although it was late again."""
    is_valid: bool
    """Whether the load was what it was meant to be: the generator on time, no arm overrun."""
    is_complete: bool
    """Whether every planned round was measured."""
    notes: list[str]
    """What a reader must know before believing the figures."""


class LabResult(BaseModel):
    """Everything that one run of the lab measured."""

    model_config = ConfigDict(json_schema_extra={"$id": "https://flightdeck.example/lab-result.schema.json"})

    schema_version: int = SCHEMA_VERSION
    command: str
    seed: int
    started_at: str
    duration_s: float
    is_interrupted: bool
    environment: Environment
    techniques: dict[str, ExperimentResult]
    """Each alone: nothing against nothing but it."""
    leave_one_out: dict[str, ExperimentResult] = {}
    """Each missing from everything: everything but it against everything."""
    control: dict[str, ExperimentResult] = {}
    """Each under traffic where it should make no difference."""
    sweeps: dict[str, SweepResult] = {}
    """Settings over their range, by the name of the sweep."""
    skipped: dict[str, str] = {}
    """Experiments and sweeps that were asked for and not run, and why."""


def summarised(
    measured: Measurement, *, sides: Mapping[str, frozenset[str]], headline: str
) -> tuple[ArmResult, ArmResult, dict[str, MetricResult], list[RoundResult]]:
    """Return both arms, the effects, and the rounds of a measurement; the sides are named with their techniques."""
    off, on = sides
    arm_rounds = [arm_round for round_ in measured.rounds for arm_round in round_.arms.values()]
    kinds = sorted({kind for arm_round in arm_rounds for kind in arm_round.open_loop.responses})
    special = [metric for metric in SPECIAL if metric.name == headline]
    metrics = [*METRICS, *special, *(metric for kind in kinds if len(kinds) > 1 for metric in metrics_of_kind(kind))]
    results = {}
    for metric in metrics:
        confidence = _confidence(metric.name, headline=headline, is_equal=bool(sides[on]) and sides[off] == sides[on])
        effect = effect_of(metric, measured.rounds, off=off, on=on, confidence=confidence)
        if effect.rounds:
            results[metric.name] = MetricResult.of(metric, effect, confidence=confidence)
    rounds = [
        RoundResult(at_s=r.at_s, off=_values(metrics, r.arms[off]), on=_values(metrics, r.arms[on]))
        for r in measured.rounds
    ]
    before, after = (_arm(measured, name, sorted(techniques)) for name, techniques in sides.items())
    return before, after, results, rounds


def _confidence(metric: str, *, headline: str, is_equal: bool) -> float:
    """Return how sure the interval of a metric is meant to be; `is_equal`: both arms have the same techniques."""
    if is_equal:
        return OF_MANY
    if metric == headline:
        return DECIDING
    return OF_MANY if "." in metric else ACCOMPANYING


def _values(metrics: list[Metric], arm_round: ArmRound) -> dict[str, float]:
    return {metric.name: value for metric in metrics if (value := metric.of(arm_round)) is not None}


def _arm(measured: Measurement, name: str, techniques: list[str]) -> ArmResult:
    arm_rounds = [round_.arms[name] for round_ in measured.rounds]
    latencies: dict[str, Latencies] = {}
    for arm_round in arm_rounds:
        for kind, recorded in arm_round.open_loop.latencies.items():
            latencies.setdefault(kind, Latencies()).add(recorded)
    return ArmResult(
        name=name,
        techniques=techniques,
        requests=sum(arm_round.open_loop.requests for arm_round in arm_rounds),
        server_errors=sum(arm_round.open_loop.server_errors for arm_round in arm_rounds),
        capacity_per_s=measured.capacity_per_s.get(name),
        latencies={kind: recorded.encode() for kind, recorded in latencies.items()},
        trace=measured.traces.get(name),
    )
