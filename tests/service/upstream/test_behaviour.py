from random import Random
from statistics import quantiles

import pytest
from pydantic import ValidationError

from service.upstream.behaviour import Behaviour


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


def test_a_hang_comes_before_every_response() -> None:
    assert Behaviour(hang_s=60).latency_s(Random(1)) > 60


def test_the_share_of_hangs_is_the_hang_share() -> None:
    random = Random(3)
    behaviour = Behaviour(median_ms=0, p99_ms=0, hang_s=4, hang_share=0.125)

    assert sum(behaviour.latency_s(random) == 4 for _ in range(20_000)) == pytest.approx(2500, rel=0.05)


def test_the_share_of_failures_is_the_failure_rate() -> None:
    random = Random(3)
    behaviour = Behaviour(failure_rate=0.2)

    assert sum(behaviour.fails(random) for _ in range(20_000)) == pytest.approx(4000, rel=0.05)


def test_a_99th_percentile_below_the_median_is_rejected() -> None:
    with pytest.raises(ValidationError, match="p99_ms 5 is below median_ms 10"):
        Behaviour(median_ms=10, p99_ms=5)
