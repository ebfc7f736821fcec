"""Predicted beside measured: what counts as right, and how a miss is listed."""

import pytest

from lab.advice.result import Prediction
from lab.advice.result import Verdict as Predicted
from lab.analysis.result import MetricResult
from lab.calibration.calibrate import Calibration, markdown, summary
from lab.report.formatting import quantity


def calibration(
    effect: float | None, interval: tuple[float, float | None] | None, ratio: float, verdict: Predicted = "helps"
) -> Calibration:
    predicted = Prediction(
        technique="pooling", title="Pooling", verdict=verdict, metric="connects", unit="", cost="", effect=effect,
        interval=interval,
    )  # fmt: skip
    measured = MetricResult(
        title="connects", unit="", better="lower", off=ratio, on=1.0, ratio=ratio, interval=(ratio, ratio),
        confidence=0.95, detectable=None, rounds=5, verdict="helps",
    )  # fmt: skip
    return Calibration(technique="pooling", predicted=predicted, measured=measured)


@pytest.mark.parametrize(
    ("effect", "interval", "ratio", "is_right"),
    [
        (4.0, (2.0, 6.0), 5.9, True),
        (4.0, (3.9, 4.1), 4.9, True),
        (4.0, (3.9, 4.1), 5.1, False),
        (4.0, (2.0, None), 900.0, True),
        (None, (50.0, None), 900.0, True),
        (None, (50.0, None), 9.0, False),
    ],
    ids=[
        "in the interval",
        "within 25 %",
        "outside",
        "open interval",
        "nothing predicted to be left",
        "too optimistic",
    ],
)
def test_an_effect_is_right_in_the_interval_or_within_a_quarter(
    effect: float | None, interval: tuple[float, float | None], ratio: float, is_right: bool
) -> None:
    one = calibration(effect, interval, ratio)
    assert one.effect_is_right == is_right
    assert one.is_miss != is_right


def test_each_miss_is_listed_with_room_for_its_reason() -> None:
    calibrations = [calibration(4.0, (3.9, 4.1), 9.0), calibration(4.0, (3.9, 4.1), 4.0)]
    calibrations.append(calibration(None, None, 4.0, "too little traffic"))
    misses = [line for line in markdown(calibrations).splitlines() if line.startswith("- ")]
    shown = [quantity(effect, "times") for effect in (4.0, 9.0)]
    assert misses == [f"- pooling: helps was predicted, {shown[0]}; helps was measured, {shown[1]}. Reason: …"]
    assert summary(calibrations).startswith("2 of 3 techniques predicted: 2 verdicts right, 1 effects")
    assert "Misses" not in markdown(calibrations[1:])


def test_a_wrong_verdict_is_a_miss_too() -> None:
    assert calibration(1.04, (0.9, 6.0), 5.0, "no difference").is_miss
