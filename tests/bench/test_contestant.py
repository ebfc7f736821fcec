"""What the figures of a benchmark are made of."""

import sys

import httpx
import pytest

from bench.arms import ARMS
from bench.contestant import Contestant, Entry, contestants, in_turn
from bench.sink import sink


def measured(*seconds: float) -> Contestant:
    return Contestant("x", None, None, 1, seconds=list(seconds))  # type: ignore[arg-type]  # nothing is sent


def test_twice_the_time_keeps_half_of_the_throughput_round_by_round() -> None:
    assert measured(2.0, 4.0, 1.0).kept(measured(1.0, 1.0, 1.0)) == [0.5, 0.25, 1.0]


def test_the_time_of_a_request_is_the_median_of_the_rounds() -> None:
    assert measured(1e-6, 5e-6, 100e-6).microseconds == pytest.approx(5.0)


def test_workers_answer_side_by_side_and_what_they_use_is_counted() -> None:
    entries = [
        Entry(title=name, command=[sys.executable, "-m", "bench.arms", name], path="/items/7", requests=40)
        for name in ("bare", "access-log")
    ]
    with contestants(entries) as (bare, logging):
        in_turn([bare, logging], 2)
        assert bare.worker.poll() is None
    assert [len(one.seconds) for one in (bare, logging)] == [2, 2]
    assert all(0 < seconds < 1 for one in (bare, logging) for seconds in one.seconds)
    assert [one.worker.returncode for one in (bare, logging)] == [0, 0]


def test_the_sink_counts_what_came_from_whom() -> None:
    with sink() as taking:
        httpx.post(f"{taking.url('mine')}/v1/traces", content=b"12345").raise_for_status()
        httpx.post(f"{taking.url('mine')}/api/1/envelope/", content=b"123").raise_for_status()
    assert taking.size_bytes == {"mine": 8}


def test_an_arm_that_says_so_exports() -> None:
    arm = next(arm.name for arm in ARMS if arm.exports and arm.name.startswith("ours"))
    command = [sys.executable, "-m", "bench.arms", arm]
    with sink() as taking:
        environ = {"BENCH_COLLECTOR": taking.url(arm)}
        with contestants([Entry(title=arm, command=command, path="/items/7", requests=120, environ=environ)]) as (one,):
            one.round()
    assert taking.size_bytes[arm] > 1000
