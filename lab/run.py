"""A run of the lab: experiment after experiment, each on two arms of its own, into one result."""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Final, Literal

from lab.arms import Arm, ArmSpec
from lab.environment import environment
from lab.errors import ArmFailed
from lab.experiments import ELSEWHERE_TESTED, TITLES, Design, Experiment
from lab.generator import Generator
from lab.metric import METRICS
from lab.result import ExperimentResult, LabResult, RoundResult, summarised
from lab.rounds import Measured, Plan, Round, Watch, measure
from lab.statistics import MIN_ROUNDS, paired_effect
from lab.traffic import MIXES
from service.techniques import arm_name

Part = Literal["techniques", "leave_one_out", "elsewhere"]
PARTS: Final[dict[Part, str]] = {
    "techniques": "alone",
    "leave_one_out": "left out of everything",
    "elsewhere": "where it should make no difference",
}

QUICK: Final = Plan(opened_s=1.6, closed_s=0.8, warm_up_s=6.0, min_rounds=5, max_rounds=8, budget_s=25.0)
THOROUGH: Final = Plan(opened_s=5.0, closed_s=2.0, warm_up_s=15.0, min_rounds=8, max_rounds=40, budget_s=90.0)
TIGHT_FACTOR: Final = 1.1
"""An interval that ends within a tenth of the ratio is tight enough."""
TIGHT_POWER: Final = 0.25
"""So is one whose ends are this share of the whole effect away, on the log scale: 40 times, give or take 2.5 times."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One experiment of the run."""

    experiment: Experiment
    part: Part

    @property
    def design(self) -> Design:
        """How the two arms are made."""
        return "leave-one-out" if self.part == "leave_one_out" else "alone"

    @property
    def title(self) -> str:
        """What a person reads while it runs."""
        return f"{TITLES[self.experiment.name]}, {PARTS[self.part]}"


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What a run is asked for."""

    data_dir: Path
    command: str
    """As typed; the report repeats it."""
    plan: Plan
    leave_one_out: bool = False
    elsewhere: bool = False


def jobs(experiments: Sequence[Experiment], options: RunOptions) -> Iterator[Job]:
    """Return the experiments in order, each alone, then in the other designs that were asked for."""
    for experiment in experiments:
        yield Job(experiment=experiment, part="techniques")
        if options.leave_one_out and len(experiment.techniques) < len(experiments):
            yield Job(experiment=experiment, part="leave_one_out")
        if options.elsewhere and experiment.elsewhere:
            yield Job(experiment=experiment, part="elsewhere")


async def run(experiments: Sequence[Experiment], options: RunOptions, watch: Watch) -> LabResult:
    """Return the result of all experiments; an interruption ends the run and keeps what was measured."""
    begun = monotonic()
    result = LabResult(
        command=options.command,
        seed=options.plan.seed,
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        duration_s=0.0,
        is_interrupted=False,
        environment=environment(),
        techniques={},
    )
    async with Generator() as generator:
        for job in jobs(experiments, options):
            watch.phase(job.title)
            measured = await _measured(job, options, generator, watch)
            if measured.rounds:
                getattr(result, job.part)[job.experiment.name] = _experiment_result(job, measured)
            elif not measured.is_interrupted:
                result.skipped[f"{job.experiment.name} ({PARTS[job.part]})"] = measured.failure
            if measured.is_interrupted:
                result.is_interrupted = True
                break
    result.duration_s = monotonic() - begun
    return result


def not_embedded(names: Sequence[str]) -> dict[str, str]:
    """Return the techniques among these names that need more than the embedded service, and what."""
    return {name: f"needs {ELSEWHERE_TESTED[name]}" for name in names if name in ELSEWHERE_TESTED}


async def _measured(job: Job, options: RunOptions, generator: Generator, watch: Watch) -> Measured:
    experiment = job.experiment
    mix = experiment.elsewhere if job.part == "elsewhere" else experiment.mix
    token = secrets.token_hex(16)
    headline = _headline(job)
    try:
        async with AsyncExitStack() as stack:
            arms = [
                await stack.enter_async_context(
                    Arm(
                        ArmSpec(name=arm_name(techniques), techniques=techniques),
                        data_dir=options.data_dir,
                        token=token,
                        writes=MIXES[mix].get("update", 0) > 0,
                    )
                )
                for techniques in experiment.arms(job.design)
            ]
            off, on = (arm.name for arm in arms)

            def tight_enough(rounds: Sequence[Round]) -> bool:
                return is_tight(headline, rounds, off=off, on=on)

            plan = replace(options.plan, mix=mix)
            return await measure(arms, plan, generator, watch=watch, tight_enough=tight_enough)
    except ArmFailed as error:
        return Measured(failure=str(error))


def is_tight(headline: str, rounds: Sequence[Round], *, off: str, on: str) -> bool:
    """Return whether the headline's interval is narrow enough to stop."""
    metric = next(metric for metric in METRICS if metric.name == headline)
    pairs = [(metric.of(round_.slots[off]), metric.of(round_.slots[on])) for round_ in rounds]
    kept = [(before, after) for before, after in pairs if before is not None and after is not None]
    effect = paired_effect([before for before, _ in kept], [after for _, after in kept], better=metric.better)
    if effect.ratio is None or effect.interval is None:
        return effect.on == 0  # nothing left to measure more precisely
    whole = max(effect.ratio, 1 / effect.ratio)
    return effect.interval.widest_factor(effect.ratio) <= max(TIGHT_FACTOR, float(whole**TIGHT_POWER))


def _headline(job: Job) -> str:
    return "p95_s" if job.part == "elsewhere" else job.experiment.headline


def _experiment_result(job: Job, measured: Measured) -> ExperimentResult:
    experiment = job.experiment
    off_techniques, on_techniques = experiment.arms(job.design)
    off, on = arm_name(off_techniques), arm_name(on_techniques)
    techniques = {off: sorted(off_techniques), on: sorted(on_techniques)}
    before, after, metrics, rounds = summarised(measured, off=off, on=on, techniques=techniques)
    headline = _headline(job)
    return ExperimentResult(
        name=experiment.name,
        title=TITLES[experiment.name],
        question=experiment.question,
        mix=experiment.elsewhere if job.part == "elsewhere" else experiment.mix,
        headline=headline,
        verdict=metrics[headline].verdict,
        off=before,
        on=after,
        metrics=metrics,
        costs=list(experiment.costs),
        rate_per_s=measured.rate_per_s,
        rounds=rounds,
        discarded_rounds=measured.discarded,
        is_complete=not (measured.is_interrupted or measured.failure),
        notes=list(_notes(measured, rounds)),
    )


def _notes(measured: Measured, rounds: Sequence[RoundResult]) -> Iterator[str]:
    if measured.is_interrupted:
        yield f"Interrupted after {len(rounds)} rounds; the figures are of those."
    if measured.failure:
        yield f"Ended after {len(rounds)} rounds: {measured.failure}"
    if measured.is_saturated:
        yield "An arm could not keep up even with the lowest rate: its latencies tell how long the run was."
    if measured.discarded:
        yield f"Rounds measured again because the load generator was late in them: {measured.discarded}."
    if len(rounds) < MIN_ROUNDS:
        yield f"Fewer than {MIN_ROUNDS} rounds give no interval, and without one nothing is claimed."
    for name in measured.rounds[0].slots:
        slots = [round_.slots[name].opened for round_ in measured.rounds]
        errors, requests = sum(slot.server_errors for slot in slots), sum(slot.requests for slot in slots)
        if errors:
            yield f"{errors} of {requests} requests to {name} failed; its latencies include the failed ones."
