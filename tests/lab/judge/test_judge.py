"""The judge on simulated canaries: how often it is wrong about equal versions, and how often it finds a slower one."""

from collections import Counter
from typing import Final

import numpy as np
import pytest

from lab.judge.judge import Judge, Judgement
from lab.judge.quantile import bucket_quantile, slower_than
from lab.judge.series import Counts

BOUNDS: Final = np.array([0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10])
"""The default boundaries of Prometheus' client libraries."""
LOOKS: Final = 20
EVERY_S: Final = 30.0
RATE_PER_S: Final = 5.0
MEDIAN_S: Final = 0.06


def requests(random: np.random.Generator, *, times: float, failing: float, shake: float, spread: float) -> Counts:
    """Return one look at a version whose latencies are log-normal; `shake` moves all of a look together."""
    count = int(random.poisson(RATE_PER_S * EVERY_S))
    seconds = MEDIAN_S * times * np.exp(spread * random.normal(size=count) + shake * random.normal())
    beyond = (seconds[:, None] > BOUNDS).sum(axis=0)
    slower = {0.0: float(count)} | dict(zip(BOUNDS.tolist(), beyond.astype(float).tolist(), strict=True))
    return Counts(slower_than=slower, requests=count, failed=float(random.binomial(count, failing)))


def canary(
    seed: int, *, times: float = 1.0, after: int = 0, failing: float = 0.01, shake: float = 0.0, spread: float = 0.7
) -> Judgement:
    """Return the last judgement of a canary; its differences begin after that many looks."""
    random = np.random.default_rng(seed)
    judge = Judge(for_s=LOOKS * EVERY_S, every_s=EVERY_S)
    for look in range(LOOKS):
        begun = look >= after
        judgement = judge.add(
            requests(random, times=1.0, failing=0.01, shake=shake, spread=spread),
            requests(
                random, times=times if begun else 1.0, failing=failing if begun else 0.01, shake=shake, spread=spread
            ),
            elapsed_s=(look + 1) * EVERY_S,
        )
        if judgement.is_final:
            return judgement
    raise AssertionError("the last look is final")


def verdicts(canaries: int, **options: float) -> Counter[str]:
    return Counter(canary(seed, **options).verdict for seed in range(canaries))  # type: ignore[arg-type]  # `after`


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
