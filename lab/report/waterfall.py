"""Two traces of the same request on one time scale."""

from collections.abc import Sequence
from typing import Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from lab.measure.trace import SpanResult, TraceResult
from lab.report.charts import STYLE, WIDTH_IN, arm_colours, short, svg_text
from lab.report.formatting import quantity
from lab.report.palette import FAINT, INK

ROW_IN: Final = 0.25
"""Height of a span with a name above it; many spans have no names and share a height of `MAX_IN`."""
MIN_IN: Final = 0.3
MAX_IN: Final = 2.6
LABELLED: Final = 10
"""With more spans than this, names would overlap."""
LABEL_CHARACTERS: Final = 60
NAMED_WIDTH: Final = 3.5
"""Of a named bar, in points."""


def waterfall(traces: Sequence[tuple[str, TraceResult]], *, name: str) -> str:
    """Draw the traces of two arms, a row per span; database spans have the arm's colour."""
    heights = [min(max(ROW_IN * len(trace.spans), MIN_IN), MAX_IN) for _, trace in traces]
    longest = max(trace.duration_s for _, trace in traces) or 1e-6
    with mpl.rc_context(STYLE | {"svg.hashsalt": name, "axes.grid.axis": "x"}):
        figure = Figure(figsize=(WIDTH_IN, sum(heights) + 0.75), layout="constrained")
        rows = figure.subplots(len(traces), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": heights})
        colours = arm_colours([arm for arm, _ in traces])
        for (arm, trace), axes, height in zip(traces, rows[:, 0], heights, strict=True):
            colour = colours[arm]
            _drawn(axes, trace, colour=colour, row_in=height / len(trace.spans), longest=longest)
            axes.set_title(f"{arm}: {quantity(trace.duration_s, 's')}", loc="left", fontsize=9, color=colour)
        rows[-1, 0].xaxis.set_major_locator(MaxNLocator(5))
        rows[-1, 0].xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value, "s")))
        return svg_text(figure, "Spans of the same request in both arms, on the same scale of time")


def _drawn(axes: Axes, trace: TraceResult, *, colour: str, row_in: float, longest: float) -> None:
    is_named = len(trace.spans) <= LABELLED
    width = NAMED_WIDTH if is_named else min(max(row_in * 72 * 0.62, 0.6), NAMED_WIDTH)
    for wanted, shade in ((False, FAINT), (True, colour)):
        chosen = [(row, span) for row, span in enumerate(trace.spans) if (span.kind == "database") == wanted]
        if chosen:
            axes.plot(*_segments(chosen, least_s=longest / 400), color=shade, linewidth=width, solid_capstyle="butt")
    if is_named:
        for row, span in enumerate(trace.spans):
            _label(axes, row, span, longest)
    axes.set_ylim(len(trace.spans) - 0.5, -1.0)
    axes.set_xlim(0, longest)
    axes.set_yticks([])


def _segments(spans: Sequence[tuple[int, SpanResult]], *, least_s: float) -> tuple[list[float], list[float]]:
    """Return all bars as one interrupted line, which is a single short SVG element."""
    across: list[float] = []
    down: list[float] = []
    for row, span in spans:
        across += [span.at_s, span.at_s + max(span.duration_s, least_s), float("nan")]
        down += [row, row, float("nan")]
    return across, down


def _label(axes: Axes, row: int, span: SpanResult, longest: float) -> None:
    """Write the span's name above its bar, from the start of the bar or, far right, up to the right edge."""
    is_right = span.at_s > 0.6 * longest
    text = span.name if len(span.name) <= LABEL_CHARACTERS else f"{span.name[: LABEL_CHARACTERS - 1]}…"
    axes.annotate(
        text,
        (longest if is_right else span.at_s, row),
        xytext=(0, 3.5),
        textcoords="offset points",
        ha="right" if is_right else "left",
        va="bottom",
        fontsize=7.5,
        color=INK,
    )
