"""Numbers as a person reads them."""

from typing import Final

from lab.analysis.result import MetricResult
from lab.analysis.sweep_result import Column

NONE: Final = "\N{EN DASH}"
TIMES: Final = "\N{MULTIPLICATION SIGN}"
TOO_WIDE: Final = 100.0
"""An interval around 1 whose ends are so many times apart tells nothing, and figures would look as if it did."""


SCALES: Final = {
    "s": ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")),
    "bytes": ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B")),
    "bit/s": ((1e6, "Mbit/s"),),
}
"""Of each unit, from large to small; the smallest takes whatever is left."""
SUFFIXES: Final = {"share": " %", "1/s": " /s", "times": TIMES}


def quantity(value: float | None, unit: str) -> str:
    """Return a value with a unit that suits its size; a dash where there is none."""
    if value is None:
        return NONE
    if unit in SCALES:
        scales = SCALES[unit]
        size, name = next((scale for scale in scales if abs(value) >= scale[0]), scales[-1])
        return f"{value / size:.0f} {name}" if name == "B" else f"{_three_digits(value / size)} {name}"
    if not unit and float(value).is_integer():
        return f"{value:,.0f}"
    return _three_digits(value * 100 if unit == "share" else value) + SUFFIXES.get(unit, "")


def cell(value: float | str | None, column: Column) -> str:
    """Return what stands in a table of a sweep."""
    return value if isinstance(value, str) else quantity(value, column.unit)


def factor(ratio: float | None) -> str:
    """Return a ratio as twelve-fold improvements are written: the number and a times sign."""
    return quantity(ratio, "times")


def effect(metric: MetricResult) -> str:
    """Return the ratio, or with a sign the difference on - off where a round counted nothing."""
    if metric.difference is not None and metric.off is not None and metric.on is not None:
        return _signed(metric.on - metric.off, metric.unit)
    if metric.ratio is not None:
        return factor(metric.ratio)
    if metric.interval is not None and metric.interval[0] > 1:
        return f"> {factor(metric.interval[0])}"
    return NONE


def interval(metric: MetricResult) -> str:
    """Return the ends of the interval: of the ratio, or with signs of the difference."""
    if metric.difference is not None:
        return " to ".join(_signed(end, metric.unit) for end in metric.difference)
    if metric.interval is None:
        return NONE
    low, high = metric.interval
    if high is None:
        return f"at least {_three_digits(low)}"
    if low < 1 < high and high > TOO_WIDE * low:
        return "too wide to tell"
    return f"{_three_digits(low)} to {_three_digits(high)}"


def _signed(value: float, unit: str) -> str:
    sign = "\N{MINUS SIGN}" if value < 0 else "+" if value > 0 else ""
    return sign + quantity(abs(value), unit)


def _three_digits(value: float) -> str:
    size = abs(float(f"{value:.3g}"))  # 9.999 is written like the 10.0 that it rounds to
    if size >= 100 or value == 0:
        return f"{value:,.0f}"
    if size >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if size >= 0.01 else f"{value:.2g}"
