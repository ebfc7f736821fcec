"""The runner of the lab: job after job, each measures its arms and adds its comparisons to the result."""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import monotonic
from types import MappingProxyType
from typing import Final

from lab.analysis.effects import expected_detectable
from lab.analysis.environment import environment
from lab.analysis.outcome import compared, is_precise
from lab.analysis.result import PARTS, LabResult, Part
from lab.arms.arms import Arm, ArmSpec, running
from lab.arms.distance import at_distance
from lab.arms.upstream import upstream
from lab.core.errors import ArmFailed
from lab.core.servers import EMBEDDED, NO_DISTANCE, UPSTREAM, Servers
from lab.experiments import Experiment
from lab.load.generator import LOCAL, Generator
from lab.measure.metric import metric_named
from lab.measure.otlp_receiver import OtlpReceiver, otlp_receiver
from lab.measure.plan import Plan
from lab.measure.profiling import add_profiles
from lab.measure.rounds import Measurement, Progress, Round, Target, measure
from lab.report.observers import CompositeObserver, RunObserver, RunStep
from lab.traffic.traffic import MIXES, WRITES, typical_request
from service.techniques import NAMES, arm_name

NULL_OBSERVER: Final = CompositeObserver()


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    data_dir: Path
    command: str
    """As typed; the report shows it."""
    plan: Plan
    servers: Servers = field(default_factory=lambda: Servers(EMBEDDED))
    leave_one_out: bool = False
    control: bool = False
    distance_s: float = 0.0
    """Round-trip time added between the arms and their servers."""
    generator: Sequence[str] = LOCAL
    """The module that generates the load, with its arguments."""
    swept: Sequence[str] = ()
    """Experiments of `lab sweep distance`; empty: its own choice."""

    def distant(self, experiment: Experiment) -> list[str]:
        """Return what the arms of an experiment reach over the network."""
        return [*self.servers.distant(), *([UPSTREAM] if experiment.upstream is not None else [])]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two arms of a job, compared for one experiment."""

    experiment: Experiment
    sides: Mapping[str, frozenset[str]]
    """Techniques by arm: first the arm without, then the arm with the examined techniques."""
    part: Part = "techniques"

    @property
    def step(self) -> RunStep:
        title = f"{self.experiment.title}, {PARTS[self.part]}"
        return RunStep(experiment=self.experiment.name, part=self.part, title=title)

    def is_precise(self, rounds: Sequence[Round]) -> bool:
        off, on = self.sides
        return is_precise(self.experiment.headline, rounds, off=off, on=on)


@dataclass(frozen=True, kw_only=True)
class StartedArms:
    arms: Sequence[Target]
    receiver: OtlpReceiver | None = None
    """Where the arms send their spans."""
    pids: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """Processes to profile, by arm; empty for services that the lab did not start."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One measurement: arms under the same traffic, and the comparisons it is made for."""

    label: str
    """Its name where it was not measured."""
    status: str
    """What the user reads while it runs."""
    plan: Plan
    comparisons: Sequence[Comparison]
    start: Callable[[], AbstractAsyncContextManager[StartedArms]]
    stops_early: bool = True
    """Whether rounds end before the budget once every headline is precise."""
    missing: str = ""
    """Why it cannot run; empty if it can."""

    def is_precise(self, rounds: Sequence[Round]) -> bool:
        return self.stops_early and all(comparison.is_precise(rounds) for comparison in self.comparisons)


async def run(
    jobs: Iterable[Job], options: RunOptions, progress: Progress, observer: RunObserver = NULL_OBSERVER
) -> LabResult:
    """Run the jobs; an interruption ends the run and keeps what was measured."""
    with new_result(options) as result:
        async with Generator(options.generator) as generator:
            for job in jobs:
                if job.missing:
                    result.skipped[job.label] = job.missing
                    continue
                progress.status(job.status)
                for comparison in job.comparisons:
                    await observer.on_start(comparison.step)
                measurement = await _measured(job, generator, progress)
                for comparison in job.comparisons:
                    found = None
                    if measurement.rounds:
                        found = compared(comparison.experiment, measurement, sides=comparison.sides)
                        getattr(result, comparison.part)[found.name] = found
                    await observer.on_end(comparison.step, found)
                if measurement.is_interrupted:
                    result.is_interrupted = True
                    break
                if not measurement.rounds:
                    result.skipped[job.label] = measurement.failure
    return result


@contextmanager
def new_result(options: RunOptions) -> Iterator[LabResult]:
    """Yield an empty result, then record the duration; a cancellation ends the block and marks the result."""
    started = monotonic()
    result = LabResult(
        command=options.command,
        seed=options.plan.seed,
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        duration_s=0.0,
        is_interrupted=False,
        environment=environment(options.servers),
        distance_s=options.distance_s,
        techniques={},
    )
    try:
        yield result
    except asyncio.CancelledError:
        result.is_interrupted = True
    finally:
        result.duration_s = monotonic() - started


async def _measured(job: Job, generator: Generator, progress: Progress) -> Measurement:
    try:
        async with job.start() as started:
            measurement = await measure(
                started.arms,
                job.plan,
                generator,
                progress=progress,
                is_precise=job.is_precise,
                expected=partial(_expected, job),
            )
            is_complete = measurement.rounds and not (measurement.is_interrupted or measurement.failure)
            if started.receiver is not None and is_complete:
                progress.status(f"{job.status}: tracing one request per arm")
                await _trace(started.receiver, started.arms, job.plan, into=measurement)
            if started.pids and job.plan.profile_s and is_complete and not measurement.is_interrupted:
                progress.status(f"{job.status}: profiling both arms")
                await add_profiles(measurement, started.arms, job.plan, generator, pids=started.pids)
            return measurement
    except ArmFailed as error:
        return Measurement(failure=str(error))
    except asyncio.CancelledError:
        return Measurement(is_interrupted=True)


def _expected(job: Job, rounds: int, requests: int) -> str:
    """Return what the rounds are expected to show for each headline."""
    shown = {
        metric.title: expected_detectable(metric, requests=max(requests, 1), rounds=rounds)
        for metric in (metric_named(comparison.experiment.headline) for comparison in job.comparisons)
    }
    differences = ", ".join(f"{(factor - 1) * 100:.0f} % in {title}" for title, factor in shown.items())
    return f"up to {rounds} rounds of {requests} requests per arm: expected to show differences from {differences}"


async def _trace(receiver: OtlpReceiver, arms: Sequence[Target], plan: Plan, *, into: Measurement) -> None:
    """Add one trace per arm; an interruption keeps the rounds."""
    request = typical_request(plan.mix, seed=plan.seed)
    try:
        for arm in arms:
            trace = await receiver.trace_of(arm, request)
            if trace is not None:
                into.traces[arm.name] = trace
    except asyncio.CancelledError:
        into.is_interrupted = True


def experiment_jobs(experiments: Iterable[Experiment], options: RunOptions) -> Iterator[Job]:
    """Yield each experiment alone, then in the other designs that the options select."""
    for experiment in experiments:
        yield _experiment_job(experiment, "techniques", options)
        if options.leave_one_out and 0 < len(experiment.techniques) < len(NAMES):
            yield _experiment_job(experiment, "leave_one_out", options)
        if options.control and experiment.control:
            yield _experiment_job(replace(experiment, mix=experiment.control, headline="typical_s"), "control", options)


def _experiment_job(experiment: Experiment, part: Part, options: RunOptions) -> Job:
    missing = options.servers.missing(experiment.required_settings)
    reason = f"set {' and '.join(missing)}: {experiment.requirement}" if missing else ""
    if options.distance_s and not options.distant(experiment):
        reason = reason or NO_DISTANCE
    comparison = Comparison(experiment=experiment, sides=_sides(experiment, part), part=part)
    return Job(
        label=f"{experiment.name} ({PARTS[part]})",
        status=comparison.step.title,
        plan=replace(options.plan, mix=experiment.mix),
        comparisons=[comparison],
        start=partial(started_arms, comparison, options),
        missing=reason,
    )


def _sides(experiment: Experiment, part: Part) -> dict[str, frozenset[str]]:
    everything, examined = frozenset(NAMES), experiment.techniques
    if not examined:
        return {"optimized": everything, "optimized-again": everything}
    base = experiment.base
    both = (everything - examined, everything) if part == "leave_one_out" else (base, base | examined)
    return {arm_name(techniques): techniques for techniques in both}


@asynccontextmanager
async def started_arms(
    comparison: Comparison, options: RunOptions, *, settings: Mapping[str, str] = MappingProxyType({})
) -> AsyncIterator[StartedArms]:
    """Start the arms of a comparison, with further settings, and what they need beside them."""
    experiment = comparison.experiment
    async with AsyncExitStack() as stack:
        receiver = stack.enter_context(otlp_receiver())
        settings = {**receiver.settings, **settings}
        if experiment.upstream is not None:
            weather = upstream(experiment.upstream, data_dir=options.data_dir)
            settings["WEATHER_URL"] = await stack.enter_async_context(weather)
        if options.distance_s:
            settings |= await stack.enter_async_context(at_distance(options.distance_s, {**os.environ, **settings}))
        token = secrets.token_hex(16)
        arms = [
            Arm(
                ArmSpec(name=name, techniques=techniques, settings=settings, has_worker=experiment.has_worker),
                data_dir=options.data_dir,
                token=token,
                writes=options.servers.has_own_database and not WRITES.isdisjoint(MIXES[experiment.mix]),
            )
            for name, techniques in comparison.sides.items()
        ]
        await stack.enter_async_context(running(arms))
        yield StartedArms(arms=arms, receiver=receiver, pids={arm.name: arm.pids for arm in arms})
