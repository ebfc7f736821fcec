"""The limit rises under light load and falls under heavy load, within its bounds."""

import pytest

from service.http.admission.limit import DECREASE_INTERVAL_S, INITIAL_LIMIT, MIN_LIMIT, PROBE_S, STALE_S, AdaptiveLimit


class World:
    """A limit with injected clocks."""

    def __init__(self, maximum: int = 32) -> None:
        self.now = self.cpu = 0.0
        self.limit = AdaptiveLimit(maximum, clock=lambda: self.now, cpu_clock=lambda: self.cpu)

    def after(self, seconds: float, *, cpu_ratio: float, lag_s: float = 0.0) -> int:
        """Advance the clocks, update the limit and return it."""
        self.now += seconds
        self.cpu += cpu_ratio * seconds
        self.limit.update(lag_s=lag_s)
        return self.limit.now


def test_under_light_load_the_limit_rises_to_its_maximum() -> None:
    world = World()
    seen = [world.limit.now, *(world.after(PROBE_S, cpu_ratio=0.2) for _ in range(20))]

    assert seen[0] == INITIAL_LIMIT
    assert seen == sorted(seen)
    assert seen[-1] == 32


@pytest.mark.parametrize(("cpu_ratio", "lag_s"), [(0.99, 0.0), (0.3, 0.05)], ids=["CPU", "lag"])
def test_under_heavy_load_the_limit_falls_to_its_minimum(cpu_ratio: float, lag_s: float) -> None:
    world = World()
    for _ in range(40):
        world.after(DECREASE_INTERVAL_S, cpu_ratio=cpu_ratio, lag_s=lag_s)

    assert world.limit.now == MIN_LIMIT


def test_decreases_have_a_shortest_interval() -> None:
    world = World()
    once, at_once = (world.after(PROBE_S, cpu_ratio=1.0) for _ in range(2))
    later = world.after(DECREASE_INTERVAL_S, cpu_ratio=1.0)

    assert later < at_once == once < INITIAL_LIMIT


@pytest.mark.parametrize(
    ("seconds", "cpu_ratio"), [(PROBE_S, 0.7), (STALE_S * 2, 0.0), (STALE_S * 2, 1.0)], ids=["between", "idle", "busy"]
)
def test_medium_load_and_stale_averages_change_nothing(seconds: float, cpu_ratio: float) -> None:
    assert World().after(seconds, cpu_ratio=cpu_ratio) == INITIAL_LIMIT


def test_a_maximum_below_the_minimum_is_kept() -> None:
    world = World(maximum=1)

    assert [world.after(PROBE_S, cpu_ratio=ratio) for ratio in (0.1, 1.0, 0.1)] == [1, 1, 1]
