"""How right the advisor is: what it predicts for the baseline, beside the effect that the lab measures."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from pydantic import BaseModel
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lab.advice import table as advice_table
from lab.advice.advise import blank
from lab.advice.methods import METHODS
from lab.advice.result import Prediction
from lab.analysis.result import ExperimentResult, MetricResult
from lab.calibration import slices
from lab.calibration.baseline import Baseline
from lab.experiments import Experiment
from lab.load.generator import Generator, LoadCommand
from lab.load.load_model import ClosedLoop, Phase
from lab.measure.plan import Plan
from lab.measure.rounds import Progress
from lab.report import formatting
from lab.run import Comparison, RunOptions, experiment_jobs, run, started_arms

WHATIF: Final = {"OBSERVABILITY_WHATIF": "1"}
WARM_UP_S: Final = 2.0
TOLERANCE: Final = 1.25
"""A prediction within this factor of the measured effect counts as right."""
METHOD: Final = {method.technique: method for method in METHODS}


class Calibration(BaseModel):
    """One technique: predicted and measured."""

    technique: str
    predicted: Prediction
    measured: MetricResult

    @property
    def is_predicted(self) -> bool:
        return self.predicted.verdict in {"helps", "no difference", "hurts"}

    @property
    def verdict_is_right(self) -> bool:
        return self.predicted.verdict == self.measured.verdict.removesuffix(" seen")

    @property
    def is_miss(self) -> bool:
        """Whether the prediction, if there is one, has to be explained."""
        return self.is_predicted and not (self.verdict_is_right and self.effect_is_right)

    @property
    def effect_is_right(self) -> bool:
        """Whether the measured effect is in the prediction's interval, or within 25 % of the prediction."""
        measured, predicted = self.measured.ratio, self.predicted
        low, high = predicted.interval or (1.0, 1.0)
        if measured is None:  # nothing is left with the technique
            return high is None or predicted.effect is None
        if low <= measured and (high is None or measured <= high):
            return True
        return predicted.effect is not None and 1 / TOLERANCE <= measured / predicted.effect <= TOLERANCE


async def calibrate(
    experiments: Sequence[Experiment], options: RunOptions, progress: Progress, *, seconds: float
) -> list[Calibration]:
    """Measure each technique, then predict it from a baseline under the same traffic, for at least this long."""
    examined = _examined(experiments)
    result = await run(experiment_jobs(examined, options), options, progress)
    measured = {one.name: result.techniques[one.name] for one in examined if one.name in result.techniques}
    limit_s = slices.limit_s(len(examined), least_s=seconds)
    rates = {name: found.rate_per_s for name, found in measured.items() if METHOD[name].estimate is not None}
    planned = slices.planned_s(rates, least_s=seconds, limit_s=limit_s)
    progress.status(f"predicting from {sum(planned.values()):.0f} s of traffic, or up to {limit_s:.0f} s")
    calibrations = []
    async with Generator() as generator:
        for experiment in examined:
            found = measured.get(experiment.name)
            if found is None:
                continue
            progress.status(f"predicting {experiment.title}")
            if experiment.name in planned:
                own_s = planned.pop(experiment.name)
                async with _baseline(experiment, found, options, generator) as baseline:
                    predicted = await baseline.predicted(
                        experiment.name,
                        slice_s=own_s / slices.FIRST,
                        limit_s=min(limit_s - sum(planned.values()), slices.MAX_S),
                        progress=progress.status,
                    )
                limit_s -= baseline.observed_s
            else:
                predicted = blank(METHOD[experiment.name])
            calibrations.append(
                Calibration(technique=experiment.name, predicted=predicted, measured=found.metrics[found.headline])
            )
    return calibrations


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


@asynccontextmanager
async def _baseline(
    experiment: Experiment, found: ExperimentResult, options: RunOptions, generator: Generator
) -> AsyncIterator[Baseline]:
    """Run the arm without the technique, with what-if metrics, for traffic at the rate at which it was measured."""
    comparison = Comparison(experiment=experiment, sides={found.off.name: experiment.base})
    async with started_arms(comparison, options, settings=WHATIF) as started:
        (arm,) = started.arms
        warm_up = LoadCommand(
            arm=arm.name,
            url=arm.url,
            model=ClosedLoop(clients=options.plan.clients),
            phase=Phase(duration_s=WARM_UP_S),
            stream=0,
            mix=experiment.mix,
            seed=options.plan.seed,
            token=arm.token,
        )
        yield Baseline(arm=arm, generator=generator, warm_up=warm_up, rate_per_s=found.rate_per_s)


def summary(calibrations: Sequence[Calibration]) -> str:
    """Return how many predictions were right."""
    predicted = [one for one in calibrations if one.is_predicted]
    verdicts = sum(one.verdict_is_right for one in predicted)
    effects = sum(one.effect_is_right for one in predicted)
    return (
        f"{len(predicted)} of {len(calibrations)} techniques predicted: {verdicts} verdicts right, {effects} "
        f"effects in the interval or within {100 * (TOLERANCE - 1):.0f} %"
    )


def print_calibrations(calibrations: Sequence[Calibration], console: Console) -> None:
    shown = Table(header_style="dim", box=SIMPLE, padding=(0, 1))
    for column in HEADS:
        shown.add_column(column)
    for cells, is_right in _rows(calibrations):
        shown.add_row(*cells[:-1], Text(cells[-1], style="green" if is_right else "yellow"))
    console.print(shown)
    console.print(summary(calibrations), style="bold")


def markdown(calibrations: Sequence[Calibration]) -> str:
    rows = [f"| {' | '.join(cells)} |" for cells, _ in _rows(calibrations)]
    lines = [f"| {' | '.join(HEADS)} |", f"|{' --- |' * len(HEADS)}", *rows, "", summary(calibrations)]
    if misses := [one for one in calibrations if one.is_miss]:
        lines += ["", "Misses:", "", *(f"- {one.technique}: {_difference(one)}. Reason: …" for one in misses)]
    return "\n".join(lines) + "\n"


def _difference(one: Calibration) -> str:
    predicted, measured = one.predicted, one.measured
    return (
        f"{predicted.verdict} was predicted, {advice_table.effect(predicted)}; "
        f"{measured.verdict} was measured, {formatting.effect(measured)}"
    )


HEADS: Final = ("technique", "metric", "predicted", "interval", "measured", "interval", "verdicts", "effect")


def _rows(calibrations: Sequence[Calibration]) -> Iterator[tuple[list[str], bool]]:
    for one in calibrations:
        predicted, measured = one.predicted, one.measured
        right = "right" if one.effect_is_right else "wrong"
        yield (
            [
                one.technique,
                predicted.metric,
                advice_table.effect(predicted),
                advice_table.interval(predicted),
                formatting.effect(measured),
                formatting.interval(measured),
                f"{predicted.verdict} / {measured.verdict}",
                right if one.is_predicted else formatting.NONE,
            ],
            one.effect_is_right,
        )
