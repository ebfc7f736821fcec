"""How long a calibration observes an arm: until its technique can be predicted, within a limit for the whole run."""

import pytest

from lab.calibration.baseline import Baseline
from lab.calibration.calibrate import limits
from lab.calibration.slices import (
    FIRST,
    KEPT_S,
    MAX_S,
    MEAN_S,
    MIN_REQUESTS,
    available_s,
    further_slices,
    limit_s,
    planned_s,
)
from lab.experiments import select_experiments
from lab.load.generator import LoadCommand
from lab.load.load_model import ClosedLoop, Phase
from lab.measure.plan import QUICK
from tests.lab.calibration.counting_arm import CountingArm, trials


@pytest.mark.parametrize("rate_per_s", [0.25, 1.0, 1.67, 5.0])
def test_enough_requests_arrive_at_any_rate_of_the_lab(rate_per_s: float) -> None:
    planned = planned_s(rate_per_s, least_s=20.0, limit_s=limit_s(1, least_s=20.0))
    assert planned * rate_per_s == pytest.approx(MIN_REQUESTS)


def test_a_fast_service_is_observed_for_the_least_time() -> None:
    assert planned_s(100.0, least_s=20.0, limit_s=600.0) == 20.0


def test_all_techniques_together_keep_to_the_limit() -> None:
    left = limit = limit_s(17, least_s=20.0)
    assert limit == 17 * MEAN_S
    for later in reversed(range(17)):
        available = min(available_s(left, later=later, least_s=20.0), MAX_S)
        assert available >= KEPT_S
        left -= planned_s(0.25, least_s=20.0, limit_s=available)
    assert left >= 0.0
    assert limit_s(17, least_s=100.0) == 1700.0
    assert limit_s(1, least_s=20.0) == MAX_S


@pytest.mark.parametrize(
    ("share", "slices"),
    [(0.5, 15), (0.99, 3), (0.0, 10), (1.2, 10), (0.1, 40)],
    ids=["half of what is needed", "almost enough", "none", "too varied", "more than fits"],
)
def test_slices_are_added_for_what_is_missing(share: float, slices: int) -> None:
    assert further_slices(10, share, slice_s=2.0, left_s=80.0) == slices


def test_the_duration_of_a_calibration_is_known_beforehand() -> None:
    experiments = select_experiments(["pooling", "compression"])
    assert limits(experiments, QUICK, seconds=20.0) == (
        f"2 techniques: rounds for about {2 * QUICK.budget_s / 60:.1f} min, "
        f"then at most {MAX_S / 60:.0f} min of traffic to predict from"
    )


async def predict(arm: CountingArm, *, limit_s: float) -> tuple[str, list[str]]:
    """Return the verdict on compression and the statuses shown."""
    statuses: list[str] = []
    warm_up = LoadCommand(
        arm=arm.name, url=arm.url, model=ClosedLoop(clients=4), phase=Phase(duration_s=2.0), stream=0, mix="reading"
    )
    baseline = Baseline(arm=arm, generator=arm, warm_up=warm_up, rate_per_s=10.0)
    prediction = await baseline.predicted("compression", slice_s=2.0, limit_s=limit_s, progress=statuses.append)
    assert baseline.observed_s == 2.0 * len(arm.slices) <= limit_s
    return prediction.verdict, statuses


@pytest.mark.anyio
async def test_an_arm_is_observed_until_enough_bodies_were_tried() -> None:
    arm = CountingArm(trials(0.4))
    verdict, statuses = await predict(arm, limit_s=600.0)
    assert verdict == "helps"
    assert len(arm.slices) == 32
    assert statuses == ["too little traffic after 20 s: observing for 44 s more"]
    streams = [command.stream for command in arm.commands]
    assert len(set(streams)) == len(streams), "each slice has requests of its own"


@pytest.mark.anyio
async def test_an_arm_is_observed_no_longer_than_the_limit() -> None:
    arm = CountingArm(trials(0.01))
    assert (await predict(arm, limit_s=50.0))[0] == "too little traffic"
    assert len(arm.slices) == 25


@pytest.mark.anyio
async def test_what_can_be_predicted_at_once_takes_the_first_slices_only() -> None:
    arm = CountingArm(trials(2.0))
    assert await predict(arm, limit_s=600.0) == ("helps", [])
    assert len(arm.slices) == FIRST
