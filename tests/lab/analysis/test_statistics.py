"""The intervals are right about simulated arms whose truth is known."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.random import Generator
from numpy.typing import NDArray

from lab.analysis.outcome import is_narrow
from lab.analysis.statistics import Interval, counted_effect, mean_interval, paired_effect, verdict_of
from lab.measure.plan import QUICK
from lab.traffic.traffic import GOLDEN_RATIO

Noise = Callable[[Generator, int], NDArray[np.float64]]

NOISES: dict[str, Noise] = {
    "even": lambda random, rounds: random.normal(0, 0.2, rounds),
    "skewed": lambda random, rounds: random.gamma(2, 0.15, rounds) - 0.3,
    "heavy tails": lambda random, rounds: 0.1 * random.standard_t(3, rounds),
}


def shares(true_ratio: float, *, noise: Noise, rounds: int, simulations: int = 1000) -> tuple[float, float]:
    """Return how often the interval covered the truth, and how often it excluded 1."""
    random = np.random.default_rng(20130101)
    covered = excluded = 0
    for _ in range(simulations):
        shared = random.normal(0, 0.5, rounds)  # a busy machine slows both arms of a round
        off = np.exp(shared + np.log(true_ratio) + noise(random, rounds))
        effect = paired_effect(list(off), list(np.exp(shared)), better="lower")
        assert effect.interval is not None
        covered += effect.interval.contains(true_ratio)
        excluded += not effect.interval.contains(1.0)
    return covered / simulations, excluded / simulations


@pytest.mark.parametrize("rounds", [4, 10])
@pytest.mark.parametrize("noise", ["even", "heavy tails"])
def test_two_equal_arms_seem_to_differ_in_at_most_one_of_twenty_simulations(noise: str, rounds: int) -> None:
    _, excluded = shares(1.0, noise=NOISES[noise], rounds=rounds)
    assert excluded <= 0.05


@pytest.mark.parametrize("rounds", [4, 10])
@pytest.mark.parametrize("noise", NOISES)
def test_a_known_difference_is_covered(noise: str, rounds: int) -> None:
    covered, _ = shares(1.3, noise=NOISES[noise], rounds=rounds)
    assert covered >= 0.93


def test_a_large_difference_is_found_and_its_size_is_right() -> None:
    effect = paired_effect([40.0, 44.0, 39.0, 42.0, 41.0], [1.0, 1.1, 0.9, 1.0, 1.0], better="lower")
    assert effect.verdict == "helps"
    assert effect.ratio == pytest.approx(41.2, rel=0.02)
    assert effect.off is not None
    assert effect.on is not None
    assert effect.ratio == pytest.approx(effect.off / effect.on)


def test_where_higher_is_better_the_ratio_is_turned_round() -> None:
    effect = paired_effect([10.0, 11.0, 10.0, 10.5], [20.0, 22.0, 19.0, 21.0], better="higher")
    assert effect.off == pytest.approx(10.37, rel=0.01)
    assert effect.on == pytest.approx(20.5, rel=0.01)
    assert effect.ratio == pytest.approx(1.97, rel=0.01)
    assert effect.verdict == "helps"


def test_a_technique_that_makes_things_worse_is_said_to_hurt() -> None:
    effect = paired_effect([1.0, 1.1, 1.0, 0.9], [2.0, 2.1, 2.2, 1.9], better="lower")
    assert effect.verdict == "hurts"


def test_more_confidence_takes_a_wider_interval() -> None:
    off, on = [1.0, 1.2, 0.9, 1.1, 1.05, 0.95], [0.5, 0.52, 0.49, 0.6, 0.5, 0.5]
    usual, sure = (paired_effect(off, on, better="lower", confidence=share).interval for share in (0.95, 0.995))
    assert usual is not None
    assert sure is not None
    assert sure.low < usual.low < 2 < (usual.high or 0) < (sure.high or 0)


def test_fewer_than_four_rounds_give_no_interval_and_no_claim() -> None:
    effect = paired_effect([40.0, 41.0, 42.0], [1.0, 1.0, 1.0], better="lower")
    assert effect.interval is None
    assert effect.verdict == "no difference seen"


def test_a_count_that_vanished_has_no_ratio_but_a_lower_bound_from_the_requests_seen() -> None:
    effect = paired_effect([1.0] * 5, [0.0] * 5, better="lower", trials_on=600)
    assert effect.ratio is None
    assert effect.interval is not None
    assert effect.interval.low == pytest.approx(200)
    assert effect.interval.high is None
    assert effect.difference == Interval(low=-1.0, high=-1.0)
    assert effect.verdict == "helps"


def test_a_count_that_was_hardly_there_and_is_gone_is_no_difference() -> None:
    effect = paired_effect([0.0, 0.0, 0.015, 0.0, 0.0], [0.0] * 5, better="lower", trials_on=600)
    assert effect.difference is not None
    assert effect.difference.contains(0.0)
    assert effect.verdict == "no difference seen"


@pytest.mark.parametrize("requests", [20, 200])
def test_equal_arms_with_almost_no_events_seem_to_differ_in_at_most_one_of_twenty_simulations(
    requests: int,
) -> None:
    random = np.random.default_rng(20130102)
    wrong = 0
    for _ in range(1000):
        off, on = (random.poisson(0.01 * requests, 6) / requests for _ in range(2))
        effect = paired_effect(list(off), list(on), better="lower", trials_on=6 * requests)
        wrong += effect.verdict != "no difference seen"
    assert wrong / 1000 <= 0.05


def test_a_count_that_is_nought_on_both_sides_is_no_difference() -> None:
    effect = paired_effect([0.0] * 5, [0.0] * 5, better="lower", trials_on=600)
    assert (effect.ratio, effect.interval, effect.verdict) == (None, None, "no difference seen")


def test_a_count_that_is_nought_in_some_rounds_is_compared_by_its_means() -> None:
    effect = paired_effect([1.0] * 6, [0.0, 0.02, 0.0, 0.02, 0.02, 0.0], better="lower", trials_on=600)
    assert effect.ratio == pytest.approx(100)
    assert effect.interval is not None
    assert effect.interval.low > 45


def test_a_hit_ratio_that_was_nought_before_has_no_ratio() -> None:
    effect = paired_effect([0.0] * 4, [0.9] * 4, better="higher")
    assert effect.ratio is None
    assert effect.off == 0.0
    assert effect.on == pytest.approx(0.9)
    assert effect.difference is not None
    assert effect.difference.low == effect.difference.high == pytest.approx(0.9)
    assert effect.verdict == "helps"


def test_rounds_that_are_not_pairs_are_refused() -> None:
    with pytest.raises(ValueError, match="3 rounds off and 2 rounds on"):
        paired_effect([1, 2, 3], [1, 2], better="lower")


def test_the_detectable_difference_shrinks_with_more_rounds() -> None:
    random = np.random.default_rng(1)
    noise = list(np.exp(random.normal(0, 0.1, 40)))
    few = paired_effect(noise[:5], [1.0] * 5, better="lower").detectable
    many = paired_effect(noise, [1.0] * 40, better="lower").detectable
    assert few is not None
    assert many is not None
    assert 1.0 < many < few


def test_values_that_never_vary_have_an_interval_without_width() -> None:
    assert mean_interval(np.full(6, 2.5)) == (2.5, 2.5)


@pytest.mark.parametrize(
    ("ratio", "low", "high", "verdict"),
    [
        (1.02, 1.01, 1.03, "no difference seen"),
        (1.2, 0.98, 1.4, "no difference seen"),
        (1.2, 1.1, 1.4, "helps"),
        (0.8, 0.7, 0.9, "hurts"),
        (None, 4.0, None, "helps"),
    ],
    ids=["too small to matter", "1 is inside", "above 1", "below 1", "nothing left"],
)
def test_the_verdict_follows_the_interval(ratio: float | None, low: float, high: float | None, verdict: str) -> None:
    assert verdict_of(ratio, Interval(low=low, high=high)) == verdict


SHARES = np.array([0.2, 0.12, 0.15, 0.25, 0.28])
MEAN_S = np.array([0.03, 0.4, 0.12, 0.003, 0.002])
SPREAD = np.array([0.4, 0.4, 1.0, 0.4, 0.4])
"""Boards, reports, lists, single flights and the rest of everyday traffic, on the arm without techniques."""


def lists_of_both_arms(
    random: Generator, *, true_ratio: float, rounds: int, requests: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return latencies, rounds by requests: the same list for both arms of a round, on a machine that is not quiet."""
    shares = (random.random((rounds, 1)) + np.arange(requests) * GOLDEN_RATIO) % 1
    kinds = np.searchsorted(np.cumsum(SHARES), shares).clip(max=len(SHARES) - 1)
    work = MEAN_S[kinds] * np.exp(SPREAD[kinds] * random.normal(size=kinds.shape) + random.normal(0, 0.3, (rounds, 1)))

    def arm(factor: float) -> NDArray[np.float64]:
        noise = random.normal(0, 0.35, kinds.shape) + random.normal(0, 0.03, (rounds, 1))
        return np.asarray(factor * work * np.exp(noise))

    return arm(true_ratio), arm(1.0)


def verdicts(true_ratio: float, *, mean: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> tuple[float, float]:
    """Return how often 1000 quick runs, which end when the interval is narrow, covered the truth, and excluded 1."""
    random = np.random.default_rng(20130101)
    covered = excluded = 0
    for _ in range(1000):
        arms = lists_of_both_arms(random, true_ratio=true_ratio, rounds=QUICK.max_rounds, requests=QUICK.min_requests)
        off, on = (list(mean(each)) for each in arms)
        for rounds in range(QUICK.min_rounds, QUICK.max_rounds + 1):
            effect = paired_effect(off[:rounds], on[:rounds], better="lower")
            if is_narrow(effect):
                break
        assert effect.interval is not None
        covered += effect.interval.contains(true_ratio)
        excluded += not effect.interval.contains(1.0)
    return covered / 1000, excluded / 1000


def geometric(latencies: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.exp(np.log(latencies).mean(axis=1)))


def arithmetic(latencies: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(latencies.mean(axis=1))


@pytest.mark.parametrize("mean", [geometric, arithmetic])
def test_equal_arms_under_a_heavy_tailed_mix_seem_to_differ_in_at_most_one_of_twenty_runs(
    mean: Callable[[NDArray[np.float64]], NDArray[np.float64]],
) -> None:
    covered, excluded = verdicts(1.0, mean=mean)
    assert excluded <= 0.05
    assert covered >= 0.93


def test_a_quick_run_sees_a_fifth_in_the_latency_of_the_same_request() -> None:
    covered, excluded = verdicts(1.2, mean=geometric)
    assert excluded >= 0.8
    assert covered >= 0.93


def test_counts_per_request_are_those_of_all_rounds_together() -> None:
    effect = counted_effect([(100.0, 10.0), (900.0, 10.0), (200.0, 10.0)] * 2, [(50.0, 10.0)] * 6)
    assert effect.off == pytest.approx(40)
    assert effect.on == pytest.approx(5)
    assert effect.ratio == pytest.approx(8)
    same = counted_effect(
        [(3.0, 2.0), (9.0, 6.0), (6.0, 4.0), (15.0, 10.0)], [(1.0, 2.0), (3.0, 6.0), (2.0, 4.0), (5.0, 10.0)]
    )
    assert same.interval is not None
    assert same.interval.low == pytest.approx(3)
    assert same.interval.high == pytest.approx(3)


def test_a_known_difference_in_counts_of_a_heavy_tailed_mix_is_covered() -> None:
    random = np.random.default_rng(5)
    covered = 0
    for _ in range(1000):
        off, on = lists_of_both_arms(random, true_ratio=2.0, rounds=8, requests=24)
        interval = counted_effect([(x.sum(), 24) for x in off], [(x.sum(), 24) for x in on]).interval
        covered += interval is not None and interval.contains(2.0)
    assert covered / 1000 >= 0.93


@pytest.mark.parametrize(
    ("off", "rounds"), [([1.0, 500.0, 2.0, 900.0], 4), ([1.0, 1.1, 1.0, 1.1], 4), ([1.0], 1)],
    ids=["too wide", "narrow", "too few"],
)  # fmt: skip
def test_an_interval_that_says_nothing_says_how_many_rounds_are_missing(off: list[float], rounds: int) -> None:
    effect = paired_effect(off, [1.0] * rounds, better="lower")
    is_wide = effect.interval is not None and (effect.interval.high or 0) > 100 * effect.interval.low
    assert (effect.more_rounds > 0) is (is_wide or rounds < 4)
