"""Conditions such as `p95_s > 1.05`: how many times larger a metric of the second service is, by its interval."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Self

from lab.analysis.result import ConditionResult, MetricResult
from lab.core.errors import BadTarget
from lab.measure.metric import METRICS, metrics_of_kind

CONDITION: Final = re.compile(r"\s*(?P<metric>\S.*?)\s*(?P<sign>[<>])\s*(?P<times>\d+(?:\.\d+)?)\s*")


@dataclass(frozen=True, kw_only=True)
class Condition:
    text: str
    metric: str
    is_above: bool
    times: float

    @classmethod
    def parsed(cls, text: str, kinds: Collection[str]) -> Self:
        """Parse `metric > times` or `metric < times`; raise `BadTarget` for another form or an unknown metric."""
        found = CONDITION.fullmatch(text)
        if found is None:
            raise BadTarget(f"{text!r} is not a condition such as 'p95_s > 1.05' or 'throughput_per_s < 0.95'")
        known = [metric.name for metric in METRICS]
        of_kinds = [metric.name for kind in kinds for metric in metrics_of_kind(kind)] if len(kinds) > 1 else []
        if found["metric"] not in (*known, *of_kinds):
            raise BadTarget(f"no metric named {found['metric']}; there are: {', '.join([*known, *of_kinds])}")
        return cls(
            text=text.strip(), metric=found["metric"], is_above=found["sign"] == ">", times=float(found["times"])
        )

    def judged(self, metric: MetricResult | None) -> ConditionResult:
        """Return whether it holds: only where the whole interval is on its side of the number."""
        times, low, high = _times(metric) if metric is not None else (None, None, None)
        if low is None:
            outcome = "undecided"
        elif self.is_above:
            outcome = "holds" if low > self.times else "does not hold" if _is_below(high, self.times) else "undecided"
        else:
            outcome = "holds" if _is_below(high, self.times) else "does not hold" if low > self.times else "undecided"
        interval = None if low is None else (low, high)
        return ConditionResult.model_validate(
            {"text": self.text, "outcome": outcome, "times": times, "interval": interval}
        )


def _is_below(high: float | None, times: float) -> bool:
    return high is not None and high < times


def _times(metric: MetricResult) -> tuple[float | None, float | None, float | None]:
    """Return second/first with its interval; `ratio` is first/second where lower is better."""
    if metric.interval is None:
        return metric.ratio, None, None
    low, high = metric.interval
    if metric.better == "higher":
        return metric.ratio, low, high
    return (
        1 / metric.ratio if metric.ratio else None,
        1 / high if high else 0.0,
        1 / low if low > 0 else None,
    )
