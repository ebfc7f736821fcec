"""Numbers as a person reads them."""

from typing import Final

from lab.result import MetricResult

NONE: Final = "\N{EN DASH}"
TIMES: Final = "\N{MULTIPLICATION SIGN}"


def quantity(value: float | None, unit: str) -> str:
    """Return a value with a unit that suits its size; a dash where there is none."""
    if value is None:
        return NONE
    if unit == "s":
        for factor, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
            if abs(value) >= factor or (name == "µs"):
                return f"{_three_digits(value / factor)} {name}"
    if unit == "bytes":
        for factor, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
            if abs(value) >= factor:
                return f"{_three_digits(value / factor)} {name}"
        return f"{value:.0f} B"
    if unit == "share":
        return f"{_three_digits(value * 100)} %"
    return f"{_three_digits(value)} /s" if unit == "1/s" else _three_digits(value)


def factor(ratio: float | None) -> str:
    """Return a ratio as twelve-fold improvements are written: the number and a times sign."""
    return NONE if ratio is None else f"{_three_digits(ratio)}{TIMES}"


def effect(metric: MetricResult) -> str:
    """Return the ratio, or what can be said where there is none."""
    if metric.ratio is not None:
        return factor(metric.ratio)
    if metric.interval is not None and metric.interval[0] > 1:
        return f"> {factor(metric.interval[0])}"
    return NONE


def interval(metric: MetricResult) -> str:
    """Return the ends of the interval."""
    if metric.interval is None:
        return NONE
    low, high = metric.interval
    return f"{_three_digits(low)} to {_three_digits(high)}" if high is not None else f"at least {_three_digits(low)}"


def _three_digits(value: float) -> str:
    size = abs(float(f"{value:.3g}"))  # 9.999 is written like the 10.0 that it rounds to
    if size >= 100 or value == 0:
        return f"{value:,.0f}"
    if size >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if size >= 0.01 else f"{value:.2g}"
