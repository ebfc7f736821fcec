"""The sweep of the distance: what techniques save where the servers of the arms are farther away."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final

from pydantic import BaseModel

from lab.analysis.result import ExperimentResult, MetricResult
from lab.analysis.sweep_result import Axis, Column, Curve, Line, SweepResult, SweepTable
from lab.core.errors import NoDistance
from lab.core.servers import NO_DISTANCE
from lab.experiments import Experiment, select_experiments
from lab.measure.plan import Plan
from lab.measure.rounds import Progress
from lab.report.formatting import distance, effect, interval
from lab.run import Job, RunOptions, experiment_jobs, run

QUESTION: Final = "What does a technique save at which distance from the servers?"
TECHNIQUES: Final = ("pooling", "eager_loading")
DISTANCES_S: Final = (0.0, 0.0005, 0.002, 0.010)
"""Round-trip times: loopback, one zone, between zones, between regions that are near."""
METRIC: Final = "mean_s"
"""Mean latency: the headline metrics of most techniques count what does not depend on the distance."""
SECONDS_FACTOR: Final = 8
"""Times the seconds of other sweeps' points: a point is a comparison of two arms, round after round."""
PLAN: Final = Plan(open_loop_s=1.2, min_requests=12, closed_loop_s=0.0, warm_up_s=10.0, min_rounds=5, max_rounds=40)
NOT_VALID: Final = "not valid"


class DistancePoint(BaseModel):
    """One technique at one distance."""

    distance_s: float
    latency: MetricResult
    is_valid: bool = True

    @classmethod
    def of(cls, result: ExperimentResult, *, distance_s: float) -> "DistancePoint":
        return cls(distance_s=distance_s, latency=result.metrics[METRIC], is_valid=result.is_valid)

    @property
    def verdict(self) -> str:
        return self.latency.verdict if self.is_valid else NOT_VALID

    @property
    def saved_s(self) -> float:
        """Latency without the technique, less that with it."""
        return (self.latency.off or 0.0) - (self.latency.on or 0.0)


async def distance_sweep(*, options: RunOptions, seconds: float, progress: Progress) -> SweepResult:
    """Compare the arms of each experiment at every distance; raise `NoDistance` if their servers have none."""
    experiments = select_experiments(options.swept or TECHNIQUES)
    swept = [experiment for experiment in experiments if options.distant(experiment)]
    if not swept:
        raise NoDistance(NO_DISTANCE)
    points: dict[str, list[DistancePoint]] = {experiment.name: [] for experiment in swept}
    skipped = dict.fromkeys((experiment.name for experiment in experiments if experiment not in swept), NO_DISTANCE)
    is_interrupted = False
    for distance_s in DISTANCES_S:
        at = replace(options, distance_s=distance_s, leave_one_out=False, control=False)
        result = await run(planned(swept, at, seconds=seconds), at, progress)
        for name, found in result.techniques.items():
            if METRIC in found.metrics:
                points[name].append(DistancePoint.of(found, distance_s=distance_s))
        skipped |= result.skipped
        is_interrupted = result.is_interrupted
        if is_interrupted:
            break
    return sweep_result(points, skipped=skipped).model_copy(update={"is_interrupted": is_interrupted})


def planned(experiments: Sequence[Experiment], options: RunOptions, *, seconds: float) -> Iterator[Job]:
    """Yield the jobs at the distance of the options, whose rounds end once the mean latency is precise."""
    plan = replace(PLAN, seed=options.plan.seed, budget_s=SECONDS_FACTOR * seconds)
    judged = [replace(experiment, headline=METRIC) for experiment in experiments]
    for job in experiment_jobs(judged, replace(options, plan=plan)):
        yield replace(job, status=f"{distance(options.distance_s)}: {job.status}")


def break_even_s(points: Sequence[DistancePoint]) -> float | None:
    """Return the distance at which the technique neither saves time nor costs any; None without one.

    It is interpolated between the farthest point before it and the nearest one after it that have a verdict.
    """
    for near, far in pairwise(_certain(points)):
        if near.verdict != far.verdict:
            share = near.saved_s / (near.saved_s - far.saved_s)
            return near.distance_s + share * (far.distance_s - near.distance_s)
    return None


def _certain(points: Sequence[DistancePoint]) -> list[DistancePoint]:
    return [point for point in points if point.verdict in {"helps", "hurts"}]


def sweep_result(
    points: Mapping[str, Sequence[DistancePoint]], *, skipped: Mapping[str, str] | None = None
) -> SweepResult:
    measured = {name: each for name, each in points.items() if each}
    helping = [name for name, each in measured.items() if each[-1].verdict == "helps"]
    rows = [_row(name, point) for name, each in measured.items() for point in each]
    return SweepResult(
        name="distance",
        question=QUESTION,
        setting="round-trip time to the servers",
        tables=[
            SweepTable(
                columns=[
                    Column(name="technique", title="technique"),
                    Column(name="distance", title="distance"),
                    Column(name="off_s", title="mean latency, off", unit="s"),
                    Column(name="on_s", title="on", unit="s"),
                    Column(name="effect", title="effect"),
                    Column(name="interval", title="interval"),
                    Column(name="verdict", title="verdict"),
                ],
                rows=rows,
                chosen=[position for position, row in enumerate(rows) if row["verdict"] == "helps"],
            )
        ],
        curves=_curves(measured),
        recommendation=" and ".join(helping) or None,
        reason="; ".join(conclusion(name, each) for name, each in measured.items()) or "nothing was measured",
        notes=[
            *(note for name, each in measured.items() if (note := slope_note(name, each))),
            "A distance of 0 ms is without the proxy; the others add its own time.",
            *(f"{name} was not measured: {reason}" for name, reason in (skipped or {}).items()),
        ],
    )


def conclusion(name: str, points: Sequence[DistancePoint]) -> str:
    """Return the effects of a technique from the nearest to the farthest point, and its break-even."""
    effects = ", ".join(f"{effect(point.latency)} at {distance(point.distance_s)}" for point in points)
    even_s = break_even_s(points)
    certain = _certain(points)
    if even_s is not None:
        turn = f"it {certain[-1].verdict} beyond its break-even at {distance(float(f'{even_s:.2g}'))}"
    elif not certain:
        turn = "no difference seen"
    elif len(certain) == len(points):
        turn = f"it {certain[0].verdict} at every distance, so there is no break-even"
    else:
        turn = f"it {certain[0].verdict} at {', '.join(distance(point.distance_s) for point in certain)}"
    return f"{name} {effects}: {turn}"


def slope_note(name: str, points: Sequence[DistancePoint]) -> str:
    """Return by how much a request gets slower with the distance; empty with one point.

    The added latency per added round-trip time is the number of round trips that a request makes one after the other.
    """
    if len(points) < 2:
        return ""
    near, far = points[0], points[-1]
    added_s = far.distance_s - near.distance_s
    off, on = (
        (after - before) / added_s
        for before, after in (
            (near.latency.off or 0.0, far.latency.off or 0.0),
            (near.latency.on or 0.0, far.latency.on or 0.0),
        )
    )
    return (
        f"{name}: a millisecond more adds {off:.1f} ms to a request without it and {on:.1f} ms with it, which is how "
        "many round trips it makes one after the other."
    )


def _row(name: str, point: DistancePoint) -> dict[str, float | str | None]:
    return {
        "technique": name,
        "distance": distance(point.distance_s),
        "distance_s": point.distance_s,
        "off_s": point.latency.off,
        "on_s": point.latency.on,
        "effect": effect(point.latency),
        "ratio": point.latency.ratio,
        "interval": interval(point.latency),
        "low": point.latency.interval[0] if point.latency.interval else None,
        "high": point.latency.interval[1] if point.latency.interval else None,
        "verdict": point.verdict,
    }


def _curves(points: Mapping[str, Sequence[DistancePoint]]) -> list[Curve]:
    x = Axis(title="round-trip time added", unit="s", is_log=False)
    effects = [
        Line(name=name, points=[(point.distance_s, ratio) for point in each if (ratio := point.latency.ratio)])
        for name, each in points.items()
    ]
    latencies = [
        Line(
            name=f"{name}, {side}",
            points=[(point.distance_s, value) for point in each if (value := getattr(point.latency, side))],
            is_dashed=side == "on",
        )
        for name, each in points.items()
        for side in ("off", "on")
    ]
    return [
        Curve(
            title="effect on the mean latency",
            x=x,
            y=Axis(title="effect", unit="times"),
            lines=[line for line in effects if line.points],
            caption="Above 1 the technique helps; a line that crosses 1 has its break-even there.",
        ),
        Curve(
            title="mean latency without (solid) and with the technique (dashed)",
            x=x,
            y=Axis(title="latency", unit="s"),
            lines=[line for line in latencies if line.points],
            caption="The slope of a line is the number of round trips of a request.",
        ),
    ]
