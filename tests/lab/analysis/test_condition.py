"""A condition holds where the whole interval is on its side."""

import pytest

from lab.analysis.condition import Condition
from lab.analysis.result import MetricResult
from lab.core.errors import BadTarget


def metric(low: float, high: float | None, *, better: str = "lower") -> MetricResult:
    return MetricResult.model_validate(
        {
            "title": "p95 latency",
            "unit": "s",
            "better": better,
            "off": 1.0,
            "on": 1.1,
            "ratio": 1 / 1.1,
            "interval": (low, high),
            "confidence": 0.95,
            "detectable": None,
            "rounds": 8,
            "verdict": "no difference seen",
        }
    )


@pytest.mark.parametrize(
    ("text", "interval", "better", "outcome"),
    [
        ("p95_s > 1.05", (1 / 1.2, 1 / 1.06), "lower", "holds"),
        ("p95_s > 1.05", (1 / 1.2, 1 / 1.04), "lower", "undecided"),
        ("p95_s > 1.05", (1 / 1.04, 1.1), "lower", "does not hold"),
        ("p95_s > 1.05", (1.5, None), "lower", "does not hold"),
        ("p95_s<0.9", (1.2, 1.3), "lower", "holds"),
        ("throughput_per_s < 0.95", (0.8, 0.9), "higher", "holds"),
        ("throughput_per_s < 0.95", (0.96, 1.2), "higher", "does not hold"),
        ("throughput_per_s > 1.5", (1.6, None), "higher", "holds"),
    ],
)
def test_the_interval_decides(text: str, interval: tuple[float, float | None], better: str, outcome: str) -> None:
    assert Condition.parsed(text, []).judged(metric(*interval, better=better)).outcome == outcome


def test_without_an_interval_it_is_undecided() -> None:
    condition = Condition.parsed("p95_s > 1.05", [])
    assert condition.judged(None).outcome == "undecided"
    assert condition.judged(metric(1, 2).model_copy(update={"interval": None})).outcome == "undecided"


@pytest.mark.parametrize("text", ["", "p95_s", "p95_s >= 1", "p95_s > fast", "p95_s > -1", "> 1.05", "p95 > 1.05"])
def test_what_is_no_condition_is_rejected(text: str) -> None:
    with pytest.raises(BadTarget, match=r"is not a condition|no metric named"):
        Condition.parsed(text, ["search"])


def test_a_metric_of_one_kind_of_request_is_known() -> None:
    assert Condition.parsed("GET /a.b.p95_s > 1.05", ["GET /a.b", "other"]).metric == "GET /a.b.p95_s"
