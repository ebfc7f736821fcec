"""Numbers, effects and headlines as text."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import floor
from typing import Final, Self

from lab.analysis.result import ExperimentResult, MetricResult
from lab.analysis.statistics import TOO_WIDE
from lab.analysis.sweep_result import Column
from lab.core.servers import NETWORKED, UPSTREAM

NONE: Final = "\N{EN DASH}"
TIMES: Final = "\N{MULTIPLICATION SIGN}"
SCALES: Final = {
    "s": ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")),
    "bytes": ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B")),
    "bit/s": ((1e6, "Mbit/s"),),
}
"""From large to small."""
NEARLY_ALL: Final = "more than 99.9 %"
SUFFIXES: Final = {"share": " %", "1/s": " /s", "times": TIMES}


@dataclass(frozen=True, kw_only=True)
class Headline:
    """An effect as a sentence: "Connection pooling: 99 % fewer connects (1.05 → 0.008 per request)"."""

    title: str
    change: str
    noun: str
    values: str
    interval: str
    """Empty without one."""

    @classmethod
    def of(cls, experiment: ExperimentResult) -> Self:
        metric = experiment.metrics[experiment.headline]
        noun, _, per = metric.title.partition(" per ")
        values = (
            f"{quantity(metric.off, metric.unit)} → {quantity(metric.on, metric.unit)}{f' per {per}' if per else ''}"
        )
        is_seen = metric.verdict != "no difference seen"
        ends = change_interval(metric)
        return cls(
            title=experiment.title,
            change=change(metric) if is_seen else "no difference seen",
            noun=noun if is_seen else f"in {noun}",
            values=values,
            interval=f"{metric.confidence * 100:g} % interval: {ends}" if ends != NONE else "",
        )

    def __str__(self) -> str:
        return f"{self.title}: {self.change} {self.noun} ({self.values})"


def change(metric: MetricResult) -> str:
    """Return how the metric changes with the technique, in percent: "99 % fewer", "12 % higher"."""
    if metric.off is None or metric.on is None:
        return NONE
    if not metric.off:
        return _comparatives(metric)[0] if metric.on else NONE
    return _change(metric.on / metric.off, metric)


def change_interval(metric: MetricResult) -> str:
    """Return the confidence interval of `change`."""
    if metric.difference is not None:
        if not metric.off:
            return NONE
        ends = sorted(max(1 + end / metric.off, 0.0) for end in metric.difference)
    else:
        low, high = _ends(metric)
        if low is None:
            return too_few(metric)
        bound = 1 / low if metric.better == "lower" else low
        if high is None:
            return f"at least {_change(bound, metric)}"
        ends = sorted([bound, 1 / high if metric.better == "lower" else high])
    if ends[1] < 1:
        ends.reverse()  # the smaller change first
    nearer, farther = (_change(end, metric) for end in ends)
    if not ends[1] and nearer.startswith(NEARLY_ALL):
        return nearer
    return f"{_percent(ends[0]) if (ends[0] < 1) == (ends[1] < 1) else nearer} to {farther}"


def quantity(value: float | None, unit: str) -> str:
    """Return a value with a unit that suits its size; a dash for None."""
    if value is None:
        return NONE
    if unit in SCALES:
        scales = SCALES[unit]
        size, name = next((scale for scale in scales if abs(value) >= scale[0]), scales[-1])
        return f"{value / size:.0f} {name}" if name == "B" else f"{_three_digits(value / size)} {name}"
    if not unit and float(value).is_integer():
        return f"{value:,.0f}"
    return _three_digits(value * 100 if unit == "share" else value) + SUFFIXES.get(unit, "")


def distance(round_trip_s: float) -> str:
    """Return a distance in milliseconds, as `--distance` takes it."""
    return f"{round_trip_s * 1000:g} ms"


def distance_sentence(round_trip_s: float, servers: Mapping[str, str]) -> str:
    """Return between what a round-trip time was added; `servers` are the kinds by role."""
    names = [*(role for role, kind in servers.items() if kind in NETWORKED), UPSTREAM]
    reached = f"between the arms and their servers ({', '.join(names)})"
    if servers.get("database") in NETWORKED:
        return f"A round-trip time of {distance(round_trip_s)} is added {reached}."
    return f"The embedded database has no distance; a round-trip time of {distance(round_trip_s)} is added {reached}."


def cell(value: float | str | None, column: Column) -> str:
    return value if isinstance(value, str) else quantity(value, column.unit)


def effect(metric: MetricResult) -> str:
    """Return the ratio; the change in percent where an arm counted zero in a round."""
    if metric.difference is not None:
        return change(metric)
    if metric.ratio is not None:
        return quantity(metric.ratio, "times")
    if metric.interval is not None and metric.interval[0] > 1:
        return f"> {quantity(metric.interval[0], 'times')}"
    return NONE


def interval(metric: MetricResult) -> str:
    """Return the confidence interval of `effect`."""
    if metric.difference is not None:
        return change_interval(metric)
    low, high = _ends(metric)
    if low is None:
        return too_few(metric)
    return f"at least {_three_digits(low)}" if high is None else f"{_three_digits(low)} to {_three_digits(high)}"


def _ends(metric: MetricResult) -> tuple[float | None, float | None]:
    """Return the ends of the interval that say something: both, the lower one, or none."""
    low, high = metric.interval or (None, None)
    if low is None or high is None or high <= TOO_WIDE * low:
        return low, high
    return (low if low > 1 else None), None


def too_few(metric: MetricResult) -> str:
    """Return what an interval needs; a dash if more rounds would not give one."""
    if not metric.more_rounds:
        return NONE
    return f"too few requests: {metric.more_rounds} more {'round' if metric.more_rounds == 1 else 'rounds'} needed"


def cost(experiment: ExperimentResult) -> str:
    """Return the measured costs of the technique, as a phrase."""
    seen = [experiment.metrics[name] for name in experiment.costs if name in experiment.metrics]
    # Memory has no interval, and errors that only one arm had have no ratio: they are stated where they became worse.
    unjudged = [metric for metric in seen if metric.interval is None or metric.ratio is None]
    paid = [metric for metric in seen if metric.verdict == "hurts" or (metric in unjudged and _is_worse(metric))]
    if not paid:
        return "none seen" if seen else NONE
    return ", ".join(
        f"{metric.title} {quantity(metric.off, metric.unit)} → {quantity(metric.on, metric.unit)}" for metric in paid
    )


def _is_worse(metric: MetricResult) -> bool:
    if metric.off is None or metric.on is None:
        return False
    return metric.on > metric.off if metric.better == "lower" else metric.on < metric.off


def sentence(experiment: ExperimentResult) -> str:
    """Return what changed for users and at what cost, as one sentence."""
    paid = cost(experiment)
    return f"{Headline.of(experiment)}; cost: {paid}." if paid != NONE else f"{Headline.of(experiment)}."


def _comparatives(metric: MetricResult) -> tuple[str, str]:
    is_counted = metric.unit in {"queries", "connects"} or (metric.unit == "bytes" and " per " in metric.title)
    return ("more", "fewer") if is_counted else ("higher", "lower")


def _change(factor: float, metric: MetricResult) -> str:
    more, fewer = _comparatives(metric)
    return f"{_percent(factor)} {more if factor > 1 else fewer}"


def _percent(factor: float) -> str:
    """Return the change by a factor; 100 % only if nothing is left."""
    percent = abs(factor - 1) * 100
    if 0 < factor < 1 and percent >= 99.5:
        return f"{floor(percent * 10) / 10:.1f} %" if percent < 99.9 else NEARLY_ALL
    return f"{percent:.0f} %" if percent >= 10 or factor == 0 else f"{percent:.1f} %"


def _three_digits(value: float) -> str:
    size = abs(float(f"{value:.3g}"))  # 9.999 is formatted like 10.0
    if size >= 100 or value == 0:
        return f"{value:,.0f}"
    if size >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if size >= 0.01 else f"{value:.2g}"
