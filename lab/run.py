"""A run of the lab: experiment after experiment, each on two arms of its own, into one result."""

import asyncio
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Final

from lab.analysis.environment import environment
from lab.analysis.outcome import compared, is_tight
from lab.analysis.result import LabResult
from lab.arms.arms import Arm, ArmSpec, running
from lab.arms.upstream import upstream
from lab.core.errors import ArmFailed
from lab.core.servers import EMBEDDED, Servers
from lab.experiments import Experiment
from lab.load.generator import Generator
from lab.measure.otlp_receiver import OtlpReceiver, otlp_receiver
from lab.measure.rounds import Measurement, Plan, Progress, Round, measure
from lab.report.observers import CompositeObserver, Part, RunObserver, RunStep
from lab.traffic.traffic import MIXES, WRITES, Request, typical_request
from service.techniques import NAMES, arm_name

PARTS: Final[dict[Part, str]] = {
    "techniques": "alone",
    "leave_one_out": "left out of everything",
    "control": "where it should make no difference",
}

NULL_OBSERVER: Final = CompositeObserver()

QUICK: Final = Plan(
    open_loop_s=1.6, fewest_requests=16, closed_loop_s=0.8, warm_up_s=20.0, min_rounds=5, max_rounds=8, budget_s=25.0
)
THOROUGH: Final = Plan(
    open_loop_s=5.0, fewest_requests=40, closed_loop_s=2.0, warm_up_s=40.0, min_rounds=8, max_rounds=40, budget_s=90.0
)


@dataclass(frozen=True, kw_only=True)
class Job:
    """One experiment of the run, as it is carried out."""

    experiment: Experiment
    part: Part

    @property
    def sides(self) -> dict[str, frozenset[str]]:
        """The arms without and with what is examined, by name."""
        everything, examined = frozenset(NAMES), self.experiment.techniques
        if not examined:
            return {"optimized": everything, "optimized-again": everything}
        both = (everything - examined, everything) if self.part == "leave_one_out" else (frozenset[str](), examined)
        return {arm_name(techniques): techniques for techniques in both}

    @property
    def step(self) -> RunStep:
        """What an observer is told."""
        return RunStep(experiment=self.experiment.name, part=self.part, title=self.title)

    @property
    def label(self) -> str:
        """What it is called where it was not measured."""
        return f"{self.experiment.name} ({PARTS[self.part]})"

    @property
    def title(self) -> str:
        """What a person reads while it runs."""
        return f"{self.experiment.title}, {PARTS[self.part]}"


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What a run is asked for."""

    data_dir: Path
    command: str
    """As typed; the report repeats it."""
    plan: Plan
    servers: Servers = field(default_factory=lambda: Servers(EMBEDDED))
    leave_one_out: bool = False
    control: bool = False


def jobs(experiments: Sequence[Experiment], options: RunOptions) -> Iterator[Job]:
    """Return the experiments in order, each alone, then in the other designs that were asked for."""
    for experiment in experiments:
        yield Job(experiment=experiment, part="techniques")
        if options.leave_one_out and 0 < len(experiment.techniques) < len(NAMES):
            yield Job(experiment=experiment, part="leave_one_out")
        if options.control and experiment.control:
            yield Job(experiment=replace(experiment, mix=experiment.control, headline="p95_s"), part="control")


def empty_result(options: RunOptions) -> LabResult:
    """Return a result that has nothing measured yet."""
    return LabResult(
        command=options.command,
        seed=options.plan.seed,
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        duration_s=0.0,
        is_interrupted=False,
        environment=environment(options.servers),
        techniques={},
    )


async def run(
    experiments: Sequence[Experiment], options: RunOptions, progress: Progress, observer: RunObserver = NULL_OBSERVER
) -> LabResult:
    """Return the result of all experiments; an interruption ends the run and keeps what was measured."""
    begun = monotonic()
    result = empty_result(options)
    try:
        async with Generator() as generator:
            for job in jobs(experiments, options):
                progress.status(job.title)
                await _add(job, options, generator, result, progress=progress, observer=observer)
                if result.is_interrupted:
                    break
    except asyncio.CancelledError:
        result.is_interrupted = True
    result.duration_s = monotonic() - begun
    return result


async def _add(
    job: Job, options: RunOptions, generator: Generator, result: LabResult, *, progress: Progress, observer: RunObserver
) -> None:
    """Measure one experiment and put what it found into the result."""
    if missing := options.servers.missing(job.experiment.required_settings):
        result.skipped[job.label] = f"set {' and '.join(missing)}: {job.experiment.requirement}"
        return
    await observer.on_start(job.step)
    measured = await _measured(job, options, generator, progress)
    result.is_interrupted = measured.is_interrupted
    found = compared(job.experiment, measured, sides=job.sides) if measured.rounds else None
    if found is not None:
        getattr(result, job.part)[job.experiment.name] = found
    elif not measured.is_interrupted:
        result.skipped[job.label] = measured.failure
    await observer.on_end(job.step, found)


async def _measured(job: Job, options: RunOptions, generator: Generator, progress: Progress) -> Measurement:
    experiment = job.experiment
    off, on = job.sides

    def tight_enough(rounds: Sequence[Round]) -> bool:
        return is_tight(experiment.headline, rounds, off=off, on=on)

    try:
        async with AsyncExitStack() as stack:
            receiver = stack.enter_context(otlp_receiver())
            settings = dict(receiver.settings)
            if experiment.upstream is not None:
                weather = upstream(experiment.upstream, data_dir=options.data_dir)
                settings["WEATHER_URL"] = await stack.enter_async_context(weather)
            arms = _arms(job, options, settings)
            await stack.enter_async_context(running(arms))
            plan = replace(options.plan, mix=experiment.mix)
            measured = await measure(arms, plan, generator, progress=progress, tight_enough=tight_enough)
            if measured.rounds and not (measured.is_interrupted or measured.failure):
                progress.status(f"{job.title}: one request to each arm, traced")
                await _trace(receiver, arms, typical_request(plan.mix, seed=plan.seed), into=measured)
            return measured
    except ArmFailed as error:
        return Measurement(failure=str(error))
    except asyncio.CancelledError:
        return Measurement(is_interrupted=True)


async def _trace(receiver: OtlpReceiver, arms: Sequence[Arm], request: Request, *, into: Measurement) -> None:
    """Add what the arms' spans tell of the request; an interruption keeps what was measured before."""
    try:
        for arm in arms:
            trace = await receiver.trace_of(arm, request)
            if trace is not None:
                into.traces[arm.name] = trace
    except asyncio.CancelledError:
        into.is_interrupted = True


def _arms(job: Job, options: RunOptions, settings: Mapping[str, str]) -> list[Arm]:
    token = secrets.token_hex(16)
    return [
        Arm(
            ArmSpec(name=name, techniques=techniques, settings=settings, has_worker=job.experiment.has_worker),
            data_dir=options.data_dir,
            token=token,
            writes=options.servers.has_own_database and not WRITES.isdisjoint(MIXES[job.experiment.mix]),
        )
        for name, techniques in job.sides.items()
    ]
