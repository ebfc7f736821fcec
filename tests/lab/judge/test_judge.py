"""The judge on simulated canaries: how often it is wrong about equal versions, and how often it finds a slower one."""

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtri  # type: ignore[import-untyped]  # scipy ships no types

from lab.judge.judge import Judge, Judgement
from lab.judge.quantile import bucket_quantile, slower_than
from lab.judge.series import Counts

BOUNDS: Final = np.array([0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10])
"""The default boundaries of Prometheus' client libraries."""
NARROW: Final = np.array([round(0.005 * 1.15**number, 6) for number in range(55)])
"""Boundaries nearer to each other than the margin."""
LOOKS: Final = 20
EVERY_S: Final = 30.0
RATE_PER_S: Final = 5.0
MEDIAN_S: Final = 0.06
NINTH: Final = float(ndtri(8 / 9))
"""The standard normal quantile that one of nine exceeds."""


@dataclass(frozen=True, kw_only=True)
class Latency:
    bounds: NDArray[np.float64] = field(default_factory=lambda: BOUNDS)
    times: float = 1.0
    slowest_times: float = 1.0
    """Further times of the slowest ninth."""
    shake: float = 0.0
    """Moves all latencies of a look together."""
    spread: float = 0.7


def requests(random: np.random.Generator, latency: Latency, *, failing: float = 0.01) -> Counts:
    """Return one look at a version whose latencies are log-normal."""
    count = int(random.poisson(RATE_PER_S * EVERY_S))
    seconds = MEDIAN_S * latency.times * np.exp(latency.spread * random.normal(size=count))
    seconds *= np.exp(latency.shake * random.normal())
    slowest = MEDIAN_S * latency.times * np.exp(latency.spread * NINTH)
    seconds[seconds > slowest] *= latency.slowest_times
    beyond = count - np.searchsorted(np.sort(seconds), latency.bounds, side="right")
    slower = {0.0: float(count)} | dict(zip(latency.bounds.tolist(), beyond.astype(float).tolist(), strict=True))
    return Counts(slower_than=slower, requests=count, failed=float(random.binomial(count, failing)))


def canary(seed: int, *, after: int = 0, failing: float = 0.01, **candidate: Any) -> Judgement:
    """Return the last judgement of a canary; its differences begin after that many looks."""
    random = np.random.default_rng(seed)
    judge = Judge(for_s=LOOKS * EVERY_S, every_s=EVERY_S)
    slower = Latency(**candidate)
    equal = replace(slower, times=1.0, slowest_times=1.0)
    for look in range(LOOKS):
        begun = look >= after
        judgement = judge.add(
            requests(random, equal),
            requests(random, slower if begun else equal, failing=failing if begun else 0.01),
            elapsed_s=(look + 1) * EVERY_S,
        )
        if judgement.is_final:
            return judgement
    raise AssertionError("the last look is final")


def verdicts(canaries: int, **options: Any) -> Counter[str]:
    return Counter(canary(seed, **options).verdict for seed in range(canaries))


@pytest.mark.parametrize(("shake", "spread"), [(0.0, 1.0), (0.1, 0.7)], ids=["even", "uneven"])
def test_at_most_one_in_twenty_equal_versions_fails(shake: float, spread: float) -> None:
    assert verdicts(60, shake=shake, spread=spread)["fail"] <= 3


def test_a_version_that_is_a_fifth_slower_is_found() -> None:
    assert verdicts(30, times=1.2)["fail"] >= 24


def test_a_version_that_becomes_slower_after_two_minutes_is_found() -> None:
    assert verdicts(20, times=1.3, after=4)["fail"] >= 16


def test_a_version_that_fails_more_often_is_found() -> None:
    found = canary(1, failing=0.06)
    assert (found.verdict, found.reason) == ("fail", "the candidate fails more often than the baseline")


def test_a_faster_version_passes() -> None:
    found = canary(1, times=0.8)
    assert (found.verdict, found.is_final, found.looks) == ("pass", True, LOOKS)
    assert found.p95_times == pytest.approx(0.8, abs=0.1)


def test_a_version_that_is_slower_by_the_margin_never_passes() -> None:
    assert verdicts(20, times=1.25)["pass"] == 0


@pytest.mark.parametrize("bounds", [BOUNDS, NARROW], ids=["wide", "narrow"])
def test_a_version_whose_slowest_ninth_is_slower_by_the_margin_never_passes(bounds: NDArray[np.float64]) -> None:
    assert verdicts(20, slowest_times=1.25, bounds=bounds)["pass"] == 0


def test_an_equal_version_passes_with_boundaries_nearer_than_the_margin() -> None:
    assert verdicts(20, bounds=NARROW)["pass"] >= 16


def test_a_pass_is_withheld_where_the_bucket_around_the_p95_is_wider_than_the_margin() -> None:
    found = canary(1)
    assert (found.verdict, found.is_final) == ("undecided", True)
    assert found.reason == (
        "the bucket from 0.1 to 0.25 s, around the p95, is wider than the margin of 1.2: "
        "give the histogram boundaries less than 1.2 times apart there"
    )


@pytest.mark.parametrize("slowest", [0.003, 20.0], ids=["below all boundaries", "above all boundaries"])
def test_a_p95_outside_of_the_boundaries_is_no_pass(slowest: float) -> None:
    judge = Judge(for_s=30, every_s=15)
    counts = requests(np.random.default_rng(1), Latency(times=slowest / MEDIAN_S, spread=0.01))
    judgement = [judge.add(counts, counts, elapsed_s=elapsed) for elapsed in (15.0, 30.0)][-1]
    assert judgement.verdict == "undecided"
    assert "is wider than the margin" in judgement.reason


def test_a_failure_ends_the_canary_and_a_pass_does_not() -> None:
    assert canary(1, times=3.0).looks < 10
    assert canary(1).looks == LOOKS


def test_without_requests_nothing_is_decided() -> None:
    judge = Judge(for_s=30, every_s=15)
    judgements = [judge.add(Counts(), Counts(), elapsed_s=elapsed) for elapsed in (15.0, 30.0)]
    assert [judgement.verdict for judgement in judgements] == ["undecided", "undecided"]
    assert judgements[-1].reason == "no requests to one of the versions"
    assert [judgement.is_final for judgement in judgements] == [False, True]


@pytest.mark.parametrize(
    ("share", "quantile"), [(0.5, 0.1), (0.75, 0.1 * 10**0.5), (0.25, 0.05), (1.0, 1.0)], ids=["a", "b", "c", "d"]
)
def test_a_quantile_is_interpolated_within_its_bucket(share: float, quantile: float) -> None:
    assert bucket_quantile({0.0: 100.0, 0.1: 50.0, 1.0: 0.0}, share) == pytest.approx(quantile)


@pytest.mark.parametrize(("seconds", "beyond"), [(0.1, 50), (0.1 * 10**0.5, 25), (1.0, 0), (5.0, 0), (0.05, 75)])
def test_a_share_is_interpolated_within_its_bucket(seconds: float, beyond: float) -> None:
    assert slower_than({0.0: 100.0, 0.1: 50.0, 1.0: 0.0}, seconds) == pytest.approx(beyond)


@pytest.mark.parametrize(("seconds", "beyond"), [(0.1, 50), (0.11, 25), (0.5, 10), (0.05, 50), (5.0, 10)])
def test_a_share_within_a_bucket_that_is_too_wide_is_the_least_possible(seconds: float, beyond: float) -> None:
    counts = {0.0: 100.0, 0.1: 50.0, 0.121: 0.0} if seconds == 0.11 else {0.0: 100.0, 0.1: 50.0, 1.0: 10.0}
    assert slower_than(counts, seconds, widest=1.3) == pytest.approx(beyond)
