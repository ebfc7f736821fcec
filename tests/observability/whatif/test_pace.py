"""How many requests are observed."""

import pytest

from observability.whatif import pace as module
from observability.whatif.pace import MAX_PER_S, WINDOW, Pace


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "monotonic", clock)
    return clock


def requests(pace: Pace, clock: Clock, number: int, *, per_s: float) -> int:
    """Send requests; return the sum of their weights."""
    total = 0
    for _ in range(number):
        clock.now += 1 / per_s
        total += pace.weight()
    return total


@pytest.mark.parametrize(("per_s", "weight"), [(1.0, 1), (MAX_PER_S, 1), (10 * MAX_PER_S, 10)])
def test_the_weights_add_up_to_the_requests(clock: Clock, per_s: float, weight: int) -> None:
    pace = Pace()
    number = 300 * WINDOW
    assert requests(pace, clock, number, per_s=per_s) == pytest.approx(number, rel=0.1)
    assert pace._weight == weight


def test_pauses_between_bursts_do_not_make_them_seem_slow(clock: Clock) -> None:
    pace = Pace()
    for _ in range(5):
        requests(pace, clock, 10 * WINDOW + 30, per_s=10 * MAX_PER_S)
        assert pace._weight == 10
        clock.now += 60


def test_every_request_is_observed_again_when_a_scrape_finds_few(clock: Clock) -> None:
    pace = Pace()
    requests(pace, clock, 2 * WINDOW + 1, per_s=10 * MAX_PER_S)
    pace.relax()
    assert pace._weight == 10, "too short a time to be sure"
    clock.now += 60
    pace.relax()
    assert pace._weight == 1
