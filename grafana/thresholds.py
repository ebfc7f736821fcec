"""Thresholds of panels; their numbers come from `slo.toml`."""

from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.models.dashboard import Threshold, ThresholdsMode

from grafana.colours import BAD, GOOD, QUIET, WARNING


def above_is_bad(limit: float, *, warning: float | None = None) -> ThresholdsConfig:
    """Good below the warning, bad from the limit on."""
    between = [] if warning is None else [Threshold(value=warning, color=WARNING)]
    return _steps([Threshold(value=None, color=GOOD), *between, Threshold(value=limit, color=BAD)])


def above_is_warning(limit: float) -> ThresholdsConfig:
    """Good below the limit, a warning from there on."""
    return _steps([Threshold(value=None, color=GOOD), Threshold(value=limit, color=WARNING)])


def below_is_bad(limit: float, *, good: float | None = None) -> ThresholdsConfig:
    """Bad below the limit; good from there on, or a warning up to `good`."""
    if good is None:
        return _steps([Threshold(value=None, color=BAD), Threshold(value=limit, color=GOOD)])
    middle = Threshold(value=limit, color=WARNING)
    return _steps([Threshold(value=None, color=BAD), middle, Threshold(value=good, color=GOOD)])


def neutral(colour: str = QUIET) -> ThresholdsConfig:
    return _steps([Threshold(value=None, color=colour)])


def _steps(steps: list[Threshold]) -> ThresholdsConfig:
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)
