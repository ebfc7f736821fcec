"""Sums over a histogram, checked with the durations that were recorded."""

import pytest

from lab.load.latencies import Latencies


@pytest.mark.parametrize(
    "durations_s",
    [
        pytest.param([], id="none"),
        pytest.param([0.000_001, 0.000_002], id="exact"),
        pytest.param([0.001 * 1.1**number for number in range(100)], id="rounded to three digits"),
    ],
)
def test_the_total_is_the_sum_of_the_durations(durations_s: list[float]) -> None:
    latencies = Latencies()
    for duration_s in durations_s:
        latencies.record(duration_s)
    assert latencies.total() == pytest.approx(sum(durations_s), rel=0.000_5)
