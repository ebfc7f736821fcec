from random import Random
from statistics import quantiles

import pytest
from pydantic import ValidationError

from service.upstream.behaviour import Behaviour, FaultController


def test_latencies_have_the_median_and_the_99th_percentile_of_the_behaviour() -> None:
    behaviour = Behaviour(median_ms=20, p99_ms=100)
    random = Random(7)

    percentiles = quantiles((behaviour.latency_s(random) for _ in range(40_000)), n=100)

    assert percentiles[49] == pytest.approx(0.020, rel=0.03)
    assert percentiles[98] == pytest.approx(0.100, rel=0.08)


def test_the_same_seed_gives_the_same_latencies() -> None:
    behaviour = Behaviour()

    first, second = Random(1), Random(1)

    assert [behaviour.latency_s(first) for _ in range(9)] == [behaviour.latency_s(second) for _ in range(9)]


def test_a_median_of_zero_is_no_latency_at_all() -> None:
    assert Behaviour(median_ms=0, p99_ms=0).latency_s(Random(1)) == 0


def hangs_s(share: float, *, calls: int) -> list[float]:
    faults = FaultController(Behaviour(hang_s=4, hang_share=share))
    return [faults.next_hang_s() for _ in range(calls)]


def test_by_default_every_response_hangs() -> None:
    assert hangs_s(1, calls=3) == [4, 4, 4]


@pytest.mark.parametrize("share", [0.0, 0.05, 0.125, 0.3, 0.5, 0.9])
def test_any_few_calls_in_a_row_have_the_share_of_hangs(share: float) -> None:
    hung = [hang_s == 4 for hang_s in hangs_s(share, calls=200)]
    assert all(abs(sum(hung[since : since + 16]) - 16 * share) <= 1 for since in range(184))


def test_a_change_begins_with_the_share_again() -> None:
    faults = FaultController(Behaviour())
    for _ in range(5):
        assert faults.next_hang_s() == 0
    faults.set(Behaviour(hang_s=4, hang_share=0.5))
    assert [faults.next_hang_s() for _ in range(4)] == [0, 4, 0, 4]


def test_the_share_of_failures_is_the_failure_rate() -> None:
    random = Random(3)
    behaviour = Behaviour(failure_rate=0.2)

    assert sum(behaviour.fails(random) for _ in range(20_000)) == pytest.approx(4000, rel=0.05)


def test_a_99th_percentile_below_the_median_is_rejected() -> None:
    with pytest.raises(ValidationError, match="p99_ms 5 is below median_ms 10"):
        Behaviour(median_ms=10, p99_ms=5)
