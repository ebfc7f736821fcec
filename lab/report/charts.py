"""Charts as SVG text whose colours are CSS variables of the page, for light, dark and print."""

import re
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any, Final, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from lab.analysis.result import ExperimentResult, MetricResult
from lab.load.latencies import Latencies
from lab.report.formatting import quantity
from lab.report.palette import BAD, FAINT, GOOD, INK, RULE, VARIABLES, arm_variable, drawn

WIDTH_IN: Final = 4.7
POINTS: Final = 200
MIN_SPAN: Final = 3.0
"""Ratio of the ends of a logarithmic axis, so that small differences look small."""
STYLE: Final[Any] = {
    "svg.fonttype": "none",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": RULE,
    "axes.labelcolor": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "ytick.major.size": 0,
    "xtick.major.size": 3,
    "xtick.minor.size": 0,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
}
VERDICT_COLOURS: Final = {"helps": GOOD, "hurts": BAD, "no difference seen": FAINT}


def distributions(arms: Mapping[str, Latencies], *, name: str) -> str:
    """Draw the cumulative distribution of latencies per arm."""
    with mpl.rc_context(STYLE | {"svg.hashsalt": name}):
        figure, axes = figure_and_axes(2.5)
        colours = arm_colours(list(arms))
        for arm, latencies in arms.items():
            if not len(latencies):
                continue
            seconds, shares = latencies.distribution()
            step = max(1, len(seconds) // POINTS)
            axes.step(
                [seconds[0], *seconds[::step], seconds[-1]], [0, *shares[::step], 1], where="post", color=colours[arm]
            )
            p95 = latencies.quantile(0.95) or 0
            axes.plot([p95], [0.95], "o", color=colours[arm], markersize=4.5)
        axes.set_ylim(0, 1.03)
        axes.set_yticks([0, 0.5, 0.95], ["0", "50 %", "95 %"])
        unit_axis(axes, "x", "s")
        axes.set_title("share of requests served within", loc="left", fontsize=9, color=FAINT)
        return svg_text(figure, "Cumulative distribution of latencies per arm")


def over_rounds(experiment: ExperimentResult, metric: str, *, name: str) -> str:
    """Draw a metric of both arms by round, which shows drift and outliers."""
    with mpl.rc_context(STYLE | {"svg.hashsalt": name}):
        figure, axes = figure_and_axes(2.5)
        colours = arm_colours([experiment.off.name, experiment.on.name])
        for side, arm in (("off", experiment.off.name), ("on", experiment.on.name)):
            points = [(r.at_s, getattr(r, side).get(metric)) for r in experiment.rounds]
            known = [(at, value) for at, value in points if value]
            if known:
                at, values = zip(*known, strict=True)
                axes.plot(at, values, "o-", color=colours[arm], markersize=3.5, linewidth=1.2)
        result = experiment.metrics[metric]
        if axes.lines:
            unit_axis(axes, "y", result.unit)
        axes.set_xlabel("seconds into the run")
        axes.set_title(f"{result.title} by round", loc="left", fontsize=9, color=FAINT)
        return svg_text(figure, f"{result.title} of both arms by round")


def forest(rows: Sequence[tuple[str, MetricResult]], *, name: str) -> str:
    """Draw the effects with their intervals on one scale."""
    with mpl.rc_context(STYLE | {"svg.hashsalt": name, "axes.grid.axis": "x"}):
        figure, axes = figure_and_axes(0.62 + 0.34 * len(rows))
        ends = [1.0]
        for position, (_, metric) in enumerate(reversed(rows)):
            colour = VERDICT_COLOURS[metric.verdict]
            if metric.interval is None:
                continue
            low, high = metric.interval
            middle = metric.ratio or low
            far = high if high is not None else low * 4
            ends += [max(low, 1e-3), far]
            axes.plot([low, far], [position, position], color=colour, linewidth=3, alpha=0.45)
            axes.plot([middle], [position], "o" if metric.ratio else ">", color=colour, markersize=6)
        axes.axvline(1, color=INK, linewidth=1)
        axes.set_xscale("log")
        axes.set_xlim(min(ends) / 1.4, max(ends) * 1.6)
        axes.set_yticks(range(len(rows)), [label for label, _ in reversed(rows)], color=INK)
        axes.set_ylim(-0.6, len(rows) - 0.4)
        unit_axis(axes, "x", "times")
        axes.set_title("effect with its interval; above 1 the technique helps", loc="left", fontsize=9, color=FAINT)
        return svg_text(figure, "Effect of each technique with its interval")


def figure_and_axes(height_in: float) -> tuple[Figure, Axes]:
    """Return a figure of the report's width, and its axes."""
    figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
    return figure, figure.add_subplot()


def arm_colours(arms: Sequence[str]) -> dict[str, str]:
    """Return the colour of each arm; the first one is the reference."""
    return {arm: drawn(arm_variable(arm, is_reference=not position)) for position, arm in enumerate(arms)}


def unit_axis(axes: Axes, direction: Literal["x", "y"], unit: str, *, is_log: bool = True) -> None:
    """Give an axis a few labels with units; a logarithmic one covers `MIN_SPAN`, a linear one starts at 0."""
    axis = axes.xaxis if direction == "x" else axes.yaxis
    low, high = axis.get_view_interval()
    if not is_log:
        axes.set(**{f"{direction}lim": (min(low, 0.0), max(high, 0.01) * 1.05)})
        axis.set_major_locator(MaxNLocator(5, min_n_ticks=3))
        axis.set_major_formatter(FuncFormatter(lambda value, _: short(value, unit) if value else "0"))
        return
    axes.set(**{f"{direction}scale": "log"})
    low, high = axis.get_view_interval()
    if high / low < MIN_SPAN:
        low, high = low / MIN_SPAN**0.5, high * MIN_SPAN**0.5
        axes.set(**{f"{direction}lim": (low, high)})
    decades = [10.0**exponent for exponent in range(-9, 12)]
    steps = decades if high / low > 100 else [step * decade for decade in decades for step in (1, 2, 5)]
    axis.set_major_locator(FixedLocator([step for step in steps if low <= step <= high]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: short(value, unit)))


def short(value: float, unit: str) -> str:
    """Return a value without trailing zeros."""
    return _without_zeros(quantity(value, unit))


def _without_zeros(text: str) -> str:
    return re.sub(r"\.0+(?=\D|$)|(\.\d*[1-9])0+(?=\D|$)", r"\1", text)


def svg_text(figure: Figure, description: str) -> str:
    """Return the figure as an SVG element coloured by the page's CSS variables."""
    drawn = StringIO()
    figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = drawn.getvalue()
    text = text[text.index("<svg") :]
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, f"var({variable})")
    for unwanted in (r"<metadata>.*?</metadata>", r"<style.*?</style>", r' id="[a-z]+[\d._a-z]*_\d+"', r"<!--.*?-->"):
        text = re.sub(unwanted, "", text, flags=re.DOTALL)
    text = re.sub(r"font-family: [^;\"]*;?", "", text)
    text = re.sub(r"\s*\n\s*", " ", text)
    box = re.search(r'viewBox="[^"]*"', text)
    inside = text[text.index(">") + 1 :]
    return f'<svg role="img" aria-label="{description}" class="chart" {box[0] if box else ""}>{inside}'
