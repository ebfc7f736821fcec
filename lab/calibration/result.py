"""The outcome of a calibration by technique: predicted beside measured, or why there is nothing to compare."""

from collections.abc import Sequence
from typing import Final, Literal

from pydantic import BaseModel, TypeAdapter

from lab.advice.result import Prediction
from lab.analysis.result import MetricResult

TOLERANCE: Final = 1.25
"""A prediction within this factor of the measured effect counts as right."""


class Calibration(BaseModel):
    """One technique: predicted and measured."""

    technique: str
    predicted: Prediction
    measured: MetricResult
    is_valid: bool = True
    """Whether the load of the measurement was as planned."""

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


NoComparison = Literal["failed", "skipped", "interrupted"]
"""`skipped`: it needs a server that is not configured."""


class NotCalibrated(BaseModel):
    """One technique without a comparison."""

    technique: str
    outcome: NoComparison
    reason: str
    measured: MetricResult | None = None
    """Its effect, where it was measured before."""


Outcome = Calibration | NotCalibrated
OUTCOMES: Final = TypeAdapter[Sequence[Outcome]](Sequence[Outcome])
"""Writes and reads them as JSON."""


def calibrations(outcomes: Sequence[Outcome]) -> list[Calibration]:
    return [one for one in outcomes if isinstance(one, Calibration)]


def not_calibrated(outcomes: Sequence[Outcome]) -> list[NotCalibrated]:
    return [one for one in outcomes if isinstance(one, NotCalibrated)]


def summary(outcomes: Sequence[Outcome]) -> str:
    """Return how many predictions were right."""
    predicted = [one for one in calibrations(outcomes) if one.is_predicted]
    verdicts = sum(one.verdict_is_right for one in predicted)
    effects = sum(one.effect_is_right for one in predicted)
    return (
        f"{len(predicted)} of {len(outcomes)} techniques predicted: {verdicts} verdicts right, {effects} "
        f"effects in the interval or within {100 * (TOLERANCE - 1):.0f} %"
    )
