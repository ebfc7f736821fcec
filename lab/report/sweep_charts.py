"""The charts of a sweep with their legends."""

from dataclasses import dataclass
from typing import Final, Self

import matplotlib as mpl
from matplotlib.ticker import FixedLocator

from lab.analysis.sweep_result import Curve, Line, SweepResult
from lab.report.charts import STYLE, figure_and_axes, svg_text, unit_axis
from lab.report.palette import FAINT, drawn, series

COUNTED: Final = {"", "bit/s"}
"""Units of settings, whose axis shows exactly the measured values."""
MAX_TICKS: Final = 8


@dataclass(frozen=True, kw_only=True)
class LegendEntry:
    name: str
    variable: str
    is_dashed: bool


@dataclass(frozen=True, kw_only=True)
class DrawnCurve:
    """A chart with its legend and caption."""

    svg: str
    keys: list[LegendEntry]
    caption: str


@dataclass(frozen=True, kw_only=True)
class DrawnSweep:
    anchor: str
    found: SweepResult
    curves: list[DrawnCurve]

    @classmethod
    def of(cls, found: SweepResult) -> Self:
        """Draw the curves; a curve without points is omitted."""
        return cls(
            anchor=f"sweep-{found.name}",
            found=found,
            curves=[
                drawn_curve(curve, name=f"{found.name} {position}")
                for position, curve in enumerate(found.curves)
                if curve.lines
            ],
        )


def drawn_curve(curve: Curve, *, name: str) -> DrawnCurve:
    """Draw a curve; a single line needs no legend."""
    keys = _keys(curve.lines)
    with mpl.rc_context(STYLE | {"svg.hashsalt": name}):
        figure, axes = figure_and_axes(2.7)
        for line, key in zip(curve.lines, keys, strict=True):
            x, y = zip(*line.points, strict=True)
            axes.plot(
                x,
                y,
                linestyle="--" if line.is_dashed else "-",
                marker="" if line.is_dashed and len(curve.lines) > 1 and _is_alone(line, curve.lines) else "o",
                color=drawn(key.variable),
                markersize=3.5,
                linewidth=1.4,
            )
        if axes.lines:
            unit_axis(axes, "x", curve.x.unit, is_log=curve.x.is_log)
            unit_axis(axes, "y", curve.y.unit, is_log=curve.y.is_log)
        ticks = sorted({x for line in curve.lines for x, _ in line.points})
        if curve.x.unit in COUNTED and len(ticks) <= MAX_TICKS:
            axes.xaxis.set_major_locator(FixedLocator(ticks))
        axes.set_xlabel(curve.x.title)
        axes.set_title(curve.title, loc="left", fontsize=9, color=FAINT)
        svg = svg_text(figure, curve.title)
    return DrawnCurve(svg=svg, keys=keys if len(keys) > 1 else [], caption=curve.caption)


def _keys(lines: list[Line]) -> list[LegendEntry]:
    keys, solid, dashed = [], 0, 0
    for line in lines:
        if line.is_dashed and _is_alone(line, lines) and len(lines) > 1:
            variable = "--ink"
        else:
            variable = series(dashed if line.is_dashed else solid)
        solid, dashed = solid + (not line.is_dashed), dashed + line.is_dashed
        keys.append(LegendEntry(name=line.name, variable=variable, is_dashed=line.is_dashed))
    return keys


def _is_alone(line: Line, lines: list[Line]) -> bool:
    """Return whether the line is the only dashed one, such as a fitted law."""
    return line.is_dashed and sum(each.is_dashed for each in lines) == 1
