"""How right the advisor is: what it predicts for the baseline, beside the effect that the lab measures."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final

from lab.advice.advise import blank
from lab.advice.methods import METHODS
from lab.analysis.result import ExperimentResult, LabResult, MetricResult
from lab.calibration import slices
from lab.calibration.baseline import Baseline
from lab.calibration.result import Calibration, NoComparison, NotCalibrated, Outcome
from lab.core.errors import LabError
from lab.experiments import Experiment
from lab.load.generator import Generator
from lab.load.load_model import ClosedLoop, Phase
from lab.measure.plan import Plan
from lab.measure.rounds import Progress
from lab.run import Comparison, Job, RunOptions, experiment_jobs, run, started_arms

WHATIF: Final = {"OBSERVABILITY_WHATIF": "1", "OBSERVABILITY_WHATIF_EXPLAIN": "1"}
METHOD: Final = {method.technique: method for method in METHODS}

Measure = Callable[[Sequence[Job], RunOptions, Progress], Awaitable[LabResult]]
Observe = Callable[[Experiment, ExperimentResult, RunOptions], AbstractAsyncContextManager[Baseline]]
"""Runs the arm without the technique, with what-if metrics, for traffic at the rate at which it was measured."""


@asynccontextmanager
async def _baseline(experiment: Experiment, found: ExperimentResult, options: RunOptions) -> AsyncIterator[Baseline]:
    """Yield the arm; it is warmed up like those of the measurement, whose caches were full before their first round."""
    comparison = Comparison(experiment=experiment, sides={found.off.name: experiment.base})
    async with started_arms(comparison, options, settings=WHATIF) as started, Generator() as generator:
        (arm,) = started.arms
        warm_up = replace(options.plan, mix=experiment.mix).command(
            arm.name,
            arm.url,
            model=ClosedLoop(clients=options.plan.clients),
            phase=Phase(duration_s=options.plan.warm_up_s),
            stream=0,
            token=arm.token,
        )
        yield Baseline(arm=arm, generator=generator, warm_up=warm_up, rate_per_s=found.rate_per_s)


@dataclass(kw_only=True)
class Calibrator:
    """Measures each technique, then predicts it from a baseline under the same traffic."""

    options: RunOptions
    progress: Progress
    seconds: float
    """The least time of the traffic that a prediction is made from."""
    measure: Measure = run
    observe: Observe = _baseline

    async def run(self, experiments: Sequence[Experiment], on_outcome: Callable[[Outcome], None]) -> None:
        """Report each outcome as soon as it is known.

        What fails is an outcome too, and ends no other technique; an interruption ends the calibration.
        """
        examined = _examined(experiments)
        left_s = slices.limit_s(len(examined), least_s=self.seconds)
        later = sum(_is_predictable(experiment) for experiment in examined)
        for experiment in examined:
            later -= _is_predictable(experiment)
            limit_s = min(slices.available_s(left_s, later=later, least_s=self.seconds), slices.MAX_S)
            outcome, observed_s = await self._outcome(experiment, limit_s=limit_s)
            left_s -= observed_s
            on_outcome(outcome)
            if isinstance(outcome, NotCalibrated) and outcome.outcome == "interrupted":
                return

    async def _outcome(self, experiment: Experiment, *, limit_s: float) -> tuple[Outcome, float]:
        """Return the outcome, and for how long the baseline was observed."""
        measured: MetricResult | None = None
        observed_s = 0.0

        def without(outcome: NoComparison, reason: str) -> tuple[Outcome, float]:
            missing = NotCalibrated(technique=experiment.name, outcome=outcome, reason=reason, measured=measured)
            return missing, observed_s

        job = next(experiment_jobs([experiment], self.options))
        if job.missing:
            return without("skipped", job.missing)
        try:
            result = await self.measure([job], self.options, self.progress)
            found = result.techniques.get(experiment.name)
            measured = found.metrics.get(found.headline) if found is not None else None
            if found is None or measured is None or not found.is_complete:
                reason = " ".join(found.notes) if found is not None else result.skipped.get(job.label, "")
                outcome: NoComparison = "interrupted" if result.is_interrupted else "failed"
                return without(outcome, reason or "it has no complete round")
            predicted = blank(METHOD[experiment.name])
            if _is_predictable(experiment):
                planned_s = self._planned_s(experiment, found.rate_per_s, limit_s=limit_s)
                async with self.observe(experiment, found, self.options) as baseline:
                    try:
                        predicted = await baseline.predicted(
                            experiment.name,
                            slice_s=planned_s / slices.FIRST,
                            limit_s=limit_s,
                            progress=self.progress.status,
                        )
                    finally:
                        observed_s = baseline.observed_s
        except asyncio.CancelledError:
            return without("interrupted", "while it was predicted")
        except (LabError, OSError) as error:
            return without("failed", str(error))
        compared = Calibration(
            technique=experiment.name, predicted=predicted, measured=measured, is_valid=found.is_valid
        )
        return compared, observed_s

    def _planned_s(self, experiment: Experiment, rate_per_s: float, *, limit_s: float) -> float:
        planned_s = slices.planned_s(rate_per_s, least_s=self.seconds, limit_s=limit_s)
        self.progress.status(
            f"predicting {experiment.title} from {planned_s:.0f} s of traffic, at most {limit_s:.0f} s"
        )
        return planned_s


def limits(experiments: Sequence[Experiment], plan: Plan, *, seconds: float) -> str:
    """Return how long a calibration takes, beside starting and warming up the arms."""
    examined = _examined(experiments)
    rounds_s, traffic_s = len(examined) * plan.budget_s, slices.limit_s(len(examined), least_s=seconds)
    return (
        f"{len(examined)} techniques: rounds for about {rounds_s / 60:.1f} min, "
        f"then at most {traffic_s / 60:.0f} min of traffic to predict from"
    )


def _examined(experiments: Sequence[Experiment]) -> list[Experiment]:
    return [experiment for experiment in experiments if experiment.name in METHOD]


def _is_predictable(experiment: Experiment) -> bool:
    return METHOD[experiment.name].estimate is not None
