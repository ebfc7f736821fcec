"""What the figures of a benchmark are made of."""

import sys

import httpx
import pytest

from bench.arms import ARMS
from bench.collector_stub import collector_stub
from bench.competitor import CompetitorSpec, CompetitorStats, competitors, measured


def took(*seconds: float) -> CompetitorStats:
    return CompetitorStats("x", list(seconds))


def test_twice_the_time_keeps_half_of_the_throughput_round_by_round() -> None:
    assert took(2.0, 4.0, 1.0).kept(took(1.0, 1.0, 1.0)) == [0.5, 0.25, 1.0]


def test_the_time_of_a_request_is_the_median_of_the_rounds() -> None:
    assert took(1e-6, 5e-6, 100e-6).microseconds == pytest.approx(5.0)


def test_workers_run_in_parallel_and_their_cpu_time_is_counted() -> None:
    entries = [
        CompetitorSpec(title=name, command=[sys.executable, "-m", "bench.arms", name], path="/items/7", requests=40)
        for name in ("bare", "access-log")
    ]
    bare, logging = measured(entries, starts=2, rounds=3)
    assert [len(one.seconds) for one in (bare, logging)] == [len(one.per_second) for one in (bare, logging)] == [6, 6]
    assert all(0 < seconds < 1 for one in (bare, logging) for seconds in one.seconds)


def test_a_worker_ends_with_its_measurement() -> None:
    entry = CompetitorSpec(
        title="bare", command=[sys.executable, "-m", "bench.arms", "bare"], path="/items/7", requests=40
    )
    with competitors([entry], [CompetitorStats("bare")]) as (bare,):
        bare.round()
        assert bare.worker.poll() is None
    assert bare.worker.returncode == 0


def test_the_collector_stub_counts_spans_by_service() -> None:
    with collector_stub() as stub:
        httpx.post(f"{stub.url('mine')}/v1/traces", content=b"12345").raise_for_status()
        httpx.post(f"{stub.url('mine')}/api/1/envelope/", content=b"123").raise_for_status()
    assert stub.size_bytes == {"mine": 8}


def test_an_arm_that_says_so_exports() -> None:
    arm = next(arm.name for arm in ARMS if arm.exports and arm.name.startswith("ours"))
    command = [sys.executable, "-m", "bench.arms", arm]
    with collector_stub() as stub:
        environ = {"BENCH_COLLECTOR": stub.url(arm)}
        entry = CompetitorSpec(title=arm, command=command, path="/items/7", requests=120, environ=environ)
        measured([entry], starts=1, rounds=1)
    assert stub.size_bytes[arm] > 1000
