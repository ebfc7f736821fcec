"""The result of a run, as JSON with a schema."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict

from lab.analysis.effects import effect_of
from lab.analysis.environment import Environment
from lab.analysis.statistics import Effect, Verdict
from lab.analysis.sweep_result import SweepResult
from lab.load.latencies import Latencies
from lab.measure.metric import METRICS, SPECIAL, ArmRound, Better, Metric, metrics_of_kind
from lab.measure.rounds import Measurement
from lab.measure.trace import TraceResult
from lab.profile.result import ProfileResult

HEADLINE_CONFIDENCE: Final = 0.95
OTHER_CONFIDENCE: Final = 0.995
"""There are about ten other metrics; with this confidence all their intervals hold together in 19 of 20 runs."""
MANY_CONFIDENCE: Final = 0.999
"""For metrics of one kind of request and for A/A runs: about forty intervals hold together."""
SCHEMA_VERSION: Final = 3
"""Grows when a reader of an older version would misread a newer one."""

Part = Literal["techniques", "leave_one_out", "control"]
PARTS: Final[Mapping[Part, str]] = {
    "techniques": "alone",
    "leave_one_out": "leave-one-out",
    "control": "negative control",
}
"""The designs of an experiment: fields of the result, and how they are called in texts."""


class MetricResult(BaseModel):
    """One metric of both arms.

    `ratio` is above 1 where the technique makes it better: off/on if lower is better, on/off if higher is; null where
    it is not finite. `interval` is the confidence interval of the ratio, with null for an open upper end; it is null
    with too few rounds, and for metrics that do not vary by round.
    """

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
    """Interval of on - off, which gives the verdict where an arm counted zero in a round."""
    more_rounds: int = 0
    """Rounds that are missing for an interval that says something."""

    @classmethod
    def of(cls, metric: Metric, effect: Effect, *, confidence: float) -> Self:
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
            more_rounds=effect.more_rounds,
            difference=(effect.difference.low, effect.difference.high)
            if effect.difference and effect.difference.high is not None
            else None,
        )


class CacheResult(BaseModel):
    """Responses that were all hits, or all misses."""

    responses: int
    mean_s: float
    p50_s: float
    p95_s: float

    @classmethod
    def of(cls, latencies: Latencies) -> Self | None:
        p50_s, p95_s = latencies.quantile(0.5), latencies.quantile(0.95)
        if p50_s is None or p95_s is None:
            return None
        return cls(responses=len(latencies), mean_s=latencies.total() / len(latencies), p50_s=p50_s, p95_s=p95_s)


class ArmResult(BaseModel):
    """One arm over all rounds."""

    name: str
    techniques: list[str]
    requests: int
    server_errors: int
    capacity_per_s: float | None
    """Throughput of the closed loop at the end of the warm-up."""
    latencies: dict[str, str]
    """By kind of request, in HdrHistogram's text form, in microseconds."""
    hits: CacheResult | None = None
    """Responses from a warm cache of the service; null without one."""
    misses: CacheResult | None = None
    """Responses that the warm cache did not have, as after an update."""
    cold: CacheResult | None = None
    """Misses of the first pass: the first request for a target, with no other in progress."""
    unexpected: dict[str, int] = {}
    """Requests of a workload whose status is not one that they expect, by kind and status."""
    trace: TraceResult | None = None
    """One request after the rounds, the same for both arms."""
    profile: ProfileResult | None = None
    """CPU time by stack, under load after the rounds."""

    def all_latencies(self) -> Latencies:
        merged = Latencies()
        for text in self.latencies.values():
            merged.add(Latencies.decode(text))
        return merged


class SentResult(BaseModel):
    """Requests of one kind, without values of headers, bodies and the environment."""

    kind: str
    request: str
    """Method and path as written, and the form of its body."""
    share: float
    """Of all requests, 0 to 1."""
    expect: list[str]
    off: int
    """Requests to the first service, of the open loop."""
    on: int
    unexpected_off: dict[str, int]
    """Other statuses than the expected ones, by status."""
    unexpected_on: dict[str, int]


class ConditionResult(BaseModel):
    """A condition on how many times larger a metric of the second service is, judged by its interval."""

    text: str
    outcome: Literal["holds", "does not hold", "undecided"]
    times: float | None
    interval: tuple[float, float | None] | None


class RoundResult(BaseModel):
    """All metrics of one round, by name."""

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
    """The metric that gives the verdict."""
    verdict: Verdict
    expected_detectable: float | None
    """The smallest effect that was expected, before the first round, to be seen with a probability of 80 %."""
    off: ArmResult
    on: ArmResult
    metrics: dict[str, MetricResult]
    costs: list[str]
    rate_per_s: float
    rounds: list[RoundResult]
    discarded_rounds: int
    """Repeated because the load generator was late."""
    late_rounds: int
    """Kept although the load generator was late again."""
    is_valid: bool
    """Whether the load was as planned: generator on schedule, no arm saturated, no requests rejected."""
    is_complete: bool
    """Whether every planned round was measured."""
    notes: list[str]
    """Limits of the figures."""
    sent: list[SentResult] = []
    """What was sent, in a comparison of two services."""
    conditions: list[ConditionResult] = []
    """What `--fail-if` names."""
    not_profiled: str = ""
    """Why there are no profiles although they were wanted."""


class LabResult(BaseModel):
    """The result of one run of the lab."""

    model_config = ConfigDict(json_schema_extra={"$id": "https://flightdeck.example/lab-result.schema.json"})

    schema_version: int = SCHEMA_VERSION
    command: str
    seed: int
    started_at: str
    duration_s: float
    is_interrupted: bool
    environment: Environment
    distance_s: float = 0.0
    """Round-trip time that was added between the arms and their servers."""
    techniques: dict[str, ExperimentResult]
    """No technique against one technique, by experiment."""
    leave_one_out: dict[str, ExperimentResult] = {}
    """All techniques but one against all of them, by experiment."""
    control: dict[str, ExperimentResult] = {}
    """Negative controls: traffic that the technique should not affect, by experiment."""
    sweeps: dict[str, SweepResult] = {}
    """By the name of the sweep."""
    skipped: dict[str, str] = {}
    """Why requested experiments and sweeps were not measured, by name."""

    @property
    def finished_at_s(self) -> float:
        """When the run ended, in Unix time."""
        return datetime.fromisoformat(self.started_at).timestamp() + self.duration_s

    def experiments(self) -> Iterator[tuple[Part, ExperimentResult]]:
        for part in PARTS:
            for experiment in getattr(self, part).values():
                yield part, experiment


def summarised(
    measured: Measurement, *, sides: Mapping[str, frozenset[str]], headline: str
) -> tuple[ArmResult, ArmResult, dict[str, MetricResult], list[RoundResult]]:
    """Return both arms, their effects and their rounds; `sides` are the techniques by arm."""
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
    if is_equal:
        return MANY_CONFIDENCE
    if metric == headline:
        return HEADLINE_CONFIDENCE
    return MANY_CONFIDENCE if "." in metric else OTHER_CONFIDENCE


def _values(metrics: list[Metric], arm_round: ArmRound) -> dict[str, float]:
    return {metric.name: value for metric in metrics if (value := metric.of(arm_round)) is not None}


def _arm(measured: Measurement, name: str, techniques: list[str]) -> ArmResult:
    arm_rounds = [round_.arms[name] for round_ in measured.rounds]
    latencies: dict[str, Latencies] = {}
    hits, misses, cold = Latencies(), Latencies(), Latencies()
    for arm_round in arm_rounds:
        hits.add(arm_round.open_loop.hits)
        misses.add(arm_round.open_loop.misses)
        if arm_round.cold is not None:
            cold.add(arm_round.cold.misses)
        for kind, recorded in arm_round.open_loop.latencies.items():
            latencies.setdefault(kind, Latencies()).add(recorded)
    return ArmResult(
        name=name,
        techniques=techniques,
        requests=sum(arm_round.open_loop.requests for arm_round in arm_rounds),
        server_errors=sum(arm_round.open_loop.server_errors for arm_round in arm_rounds),
        capacity_per_s=measured.capacity_per_s.get(name),
        latencies={kind: recorded.encode() for kind, recorded in latencies.items()},
        hits=CacheResult.of(hits),
        misses=CacheResult.of(misses),
        cold=CacheResult.of(cold),
        trace=measured.traces.get(name),
        profile=measured.profiles.get(name),
        unexpected=dict(sum((each.unexpected for arm in arm_rounds for each in arm.recordings), Counter[str]())),
    )
