"""Effects on quantiles, against simulated arms whose truth is known: few requests a round, and caches that miss."""

import numpy as np
import pytest
from numpy.random import Generator
from numpy.typing import NDArray

from lab.analysis.effects import expected_detectable, min_requests, quantile_effect
from lab.analysis.statistics import Effect
from lab.load.latencies import Latencies
from lab.measure.metric import metric_named

SIMULATIONS = 1000


def latencies(seconds: NDArray[np.float64]) -> Latencies:
    recorded = Latencies()
    for each in seconds:
        recorded.record(float(each))
    return recorded


class Known:
    """Stands in for a histogram where a thousand of them would be slow: exact counts of given latencies."""

    def __init__(self, seconds: NDArray[np.float64]) -> None:
        self._us = np.maximum(np.round(seconds * 1e6), 1).astype(int)

    def __len__(self) -> int:
        return len(self._us)

    def counts(self) -> dict[int, int]:
        durations, counts = np.unique(self._us, return_counts=True)
        return dict(zip(durations.tolist(), counts.tolist(), strict=True))


def simulated(random: Generator, *, rounds: int, requests: int, share: float, misses: float) -> Effect:
    """Return the effect seen of two equal arms; a busy machine slows both arms of a round."""
    shared = random.normal(0, 0.3, (rounds, 1))

    def arm() -> list[Known]:
        usual = random.normal(0, 0.5, (rounds, requests)) + random.normal(0, 0.1, (rounds, 1)) + shared
        missed = np.where(random.random((rounds, requests)) < misses, 5.0, 0.0)
        return [Known(each) for each in 0.001 * np.exp(usual + missed)]

    return quantile_effect(arm(), arm(), share)  # type: ignore[arg-type]  # Known stands in


@pytest.mark.parametrize(
    ("rounds", "requests", "share", "misses"),
    [(4, 16, 0.5, 0.0), (5, 6, 0.5, 0.1), (8, 40, 0.5, 0.1), (5, 16, 0.95, 0.0), (8, 40, 0.95, 0.1)],
    ids=["median", "few requests and misses", "median and misses", "p95", "p95 and misses"],
)
def test_two_equal_arms_seem_to_differ_in_at_most_one_of_twenty_simulations(
    rounds: int, requests: int, share: float, misses: float
) -> None:
    random = np.random.default_rng(20130101)
    seen = [
        simulated(random, rounds=rounds, requests=requests, share=share, misses=misses).interval
        for _ in range(SIMULATIONS)
    ]
    assert sum(each is None or not each.contains(1.0) for each in seen) / SIMULATIONS <= 0.05


def test_a_known_difference_moves_the_interval_by_exactly_itself_and_so_is_covered_as_often() -> None:
    random = np.random.default_rng(7)
    off, on = (0.01 * np.exp(random.normal(0, 0.5, (5, 20))) for _ in range(2))
    equal = quantile_effect([latencies(each) for each in off], [latencies(each) for each in on], 0.5).interval
    slower = quantile_effect([latencies(3 * each) for each in off], [latencies(each) for each in on], 0.5).interval
    assert equal is not None
    assert slower is not None
    assert slower.low == pytest.approx(3 * equal.low, rel=0.01)
    assert slower.high == pytest.approx(3 * (equal.high or 0), rel=0.01)


def test_a_cache_that_misses_now_and_then_has_an_interval_that_can_be_read() -> None:
    random = np.random.default_rng(1)
    off = [latencies(0.3 * np.exp(random.normal(0, 0.3, 6))) for _ in range(5)]
    on = [latencies(np.where(np.arange(6) < number % 3, 0.3, 0.002)) for number in range(5)]
    effect = quantile_effect(off, on, 0.5)
    assert effect.ratio == pytest.approx(150, rel=0.3)
    assert effect.interval is not None
    assert effect.interval.low > 75
    assert (effect.interval.high or 0) < 300


def test_the_figures_are_the_quantiles_of_all_rounds_together() -> None:
    off = [latencies(np.array([0.010, 0.020, 0.030])), latencies(np.array([0.040]))]
    on = [latencies(np.array([0.001])), latencies(np.array([0.002, 0.003, 0.004]))]
    effect = quantile_effect(off, on, 0.5)
    assert effect.off == pytest.approx(0.020, rel=0.001)
    assert effect.on == pytest.approx(0.002, rel=0.001)
    assert effect.ratio == pytest.approx(10, rel=0.001)
    assert effect.interval is None  # two rounds


def test_a_quantile_that_few_requests_are_beyond_has_no_interval() -> None:
    rounds = [latencies(np.full(11, 0.01)) for _ in range(5)]
    assert quantile_effect(rounds, rounds, 0.95).interval is None
    assert quantile_effect([*rounds, latencies(np.full(5, 0.01))], [*rounds, rounds[0]], 0.95).interval is not None
    assert (min_requests(0.5), min_requests(0.95), min_requests(0.99)) == (6, 60, 300)


def test_rounds_without_such_requests_in_both_arms_are_left_out() -> None:
    some, none = latencies(np.full(10, 0.01)), Latencies()
    assert quantile_effect([some, none, some], [some, some, none], 0.5).rounds == 1
    assert quantile_effect([none], [some], 0.5).rounds == 0


def test_rounds_that_are_not_pairs_are_refused() -> None:
    with pytest.raises(ValueError, match="2 rounds off and 1 rounds on"):
        quantile_effect([Latencies(), Latencies()], [Latencies()], 0.5)


def test_the_detectable_difference_shrinks_with_more_rounds() -> None:
    random = np.random.default_rng(3)
    off, on = ([latencies(0.01 * np.exp(random.normal(0, 0.5, 20))) for _ in range(24)] for _ in range(2))
    few = quantile_effect(off[:5], on[:5], 0.5).detectable
    many = quantile_effect(off, on, 0.5).detectable
    assert few is not None
    assert many is not None
    assert 1 < many < few


@pytest.mark.parametrize(
    ("metric", "noise"),
    [("typical_s", 1.4), ("flight.mean_s", 1.6), ("p95_s", 2.0), ("throughput_per_s", 1.0), ("bytes_per_request", 0.4)],
)
def test_what_a_run_is_expected_to_show_follows_from_the_noise_that_runs_had(metric: str, noise: float) -> None:
    expected = expected_detectable(metric_named(metric), requests=25, rounds=16)
    assert expected == pytest.approx(np.exp((2.131 + 0.866) * noise / 20), rel=0.001)
