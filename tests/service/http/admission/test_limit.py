"""The limit follows the process: up while it is idle, down while it is busy or late, never beyond its bounds."""

import pytest

from service.http.admission.limit import CUT_EVERY_S, FEWEST, FIRST, PROBE_S, STALE_S, AdaptiveLimit


class World:
    """A limit, and a process whose time the test decides on."""

    def __init__(self, most: int = 32) -> None:
        self.now = self.cpu = 0.0
        self.limit = AdaptiveLimit(most, clock=lambda: self.now, cpu_clock=lambda: self.cpu)

    def passes(self, seconds: float, *, cpu_ratio: float, lag_s: float = 0.0) -> int:
        """Let time pass, then look; return the limit."""
        self.now += seconds
        self.cpu += cpu_ratio * seconds
        self.limit.look(lag_s=lag_s)
        return self.limit.now


def test_a_process_that_waits_lets_in_more_up_to_the_bound() -> None:
    world = World()
    seen = [world.limit.now, *(world.passes(PROBE_S, cpu_ratio=0.2) for _ in range(20))]

    assert seen[0] == FIRST
    assert seen == sorted(seen)
    assert seen[-1] == 32


@pytest.mark.parametrize(("cpu_ratio", "lag_s"), [(0.99, 0.0), (0.3, 0.05)], ids=["it computes", "it is late"])
def test_a_busy_process_lets_in_fewer_but_some(cpu_ratio: float, lag_s: float) -> None:
    world = World()
    for _ in range(40):
        world.passes(CUT_EVERY_S, cpu_ratio=cpu_ratio, lag_s=lag_s)

    assert world.limit.now == FEWEST


def test_a_cut_is_given_time_to_show() -> None:
    world = World()
    once, at_once = (world.passes(PROBE_S, cpu_ratio=1.0) for _ in range(2))
    later = world.passes(CUT_EVERY_S, cpu_ratio=1.0)

    assert later < at_once == once < FIRST


@pytest.mark.parametrize(
    ("seconds", "cpu_ratio"), [(PROBE_S, 0.7), (STALE_S * 2, 0.0), (STALE_S * 2, 1.0)], ids=["between", "idle", "busy"]
)
def test_between_light_and_heavy_and_after_a_long_time_nothing_changes(seconds: float, cpu_ratio: float) -> None:
    assert World().passes(seconds, cpu_ratio=cpu_ratio) == FIRST


def test_a_bound_below_the_fewest_is_kept() -> None:
    world = World(most=1)

    assert [world.passes(PROBE_S, cpu_ratio=ratio) for ratio in (0.1, 1.0, 0.1)] == [1, 1, 1]
