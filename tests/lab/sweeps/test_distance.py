"""The sweep of the distance: what it plans, and what it concludes from known latencies."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from lab.analysis.result import MetricResult
from lab.analysis.statistics import Interval, verdict_of
from lab.core.servers import NO_DISTANCE, Servers
from lab.experiments import select_experiments
from lab.measure.plan import THOROUGH
from lab.report.formatting import distance_sentence
from lab.report.report import html
from lab.report.sweep_table import sweep_markdown
from lab.report.table import markdown
from lab.run import RunOptions, experiment_jobs
from lab.sweeps.catalogue import run_sweeps
from lab.sweeps.distance import (
    DISTANCES_S,
    TECHNIQUES,
    DistancePoint,
    break_even_s,
    conclusion,
    planned,
    slope_note,
    sweep_result,
)
from tests.lab.known_result import result
from tests.lab.test_experiments import PRIMARY, NullProgress

EMBEDDED = RunOptions(data_dir=Path(), command="", plan=THOROUGH)
REMOTE = replace(EMBEDDED, servers=Servers.from_environ(PRIMARY))


def point(distance_s: float, *, off: float, on: float, is_valid: bool = True) -> DistancePoint:
    interval = Interval(low=off / on * 0.99, high=off / on * 1.01)
    latency = MetricResult(
        title="mean latency",
        unit="s",
        better="lower",
        off=off,
        on=on,
        ratio=off / on,
        interval=(interval.low, off / on * 1.01),
        confidence=0.95,
        detectable=None,
        rounds=6,
        verdict=verdict_of(off / on, interval),
    )
    return DistancePoint(distance_s=distance_s, latency=latency, is_valid=is_valid)


def crossing() -> list[DistancePoint]:
    """Three round trips per request, or two and 1.2 ms more: even where a round trip takes 1.2 ms."""
    return [point(each, off=0.0100 + 3 * each, on=0.0112 + 2 * each) for each in DISTANCES_S]


def helping() -> list[DistancePoint]:
    return [point(each, off=0.010 + 300 * each, on=0.004 + 4 * each) for each in DISTANCES_S]


def test_every_distance_compares_the_mean_latency_of_both_arms() -> None:
    at = replace(REMOTE, distance_s=0.002)
    jobs = list(planned(select_experiments(TECHNIQUES), at, seconds=3.0))
    assert [job.status.partition(":")[0] for job in jobs] == ["2 ms", "2 ms"]
    assert [[*job.comparisons[0].sides.values()][1] for job in jobs] == [{name} for name in TECHNIQUES]
    for job in jobs:
        assert job.missing == ""
        assert job.comparisons[0].experiment.headline == "mean_s"
        assert job.plan.budget_s == 24.0
        assert job.plan.mix == job.comparisons[0].experiment.mix


def test_only_experiments_with_a_server_have_a_distance() -> None:
    at = replace(EMBEDDED, distance_s=0.001)
    jobs = experiment_jobs(select_experiments(["pooling", "connection_reuse"]), at)
    assert [job.missing for job in jobs] == [NO_DISTANCE, ""]
    remote = experiment_jobs(select_experiments(["pooling"]), replace(REMOTE, distance_s=0.001))
    assert [job.missing for job in remote] == [""]


def test_the_sweep_says_why_it_measures_nothing_on_the_embedded_database() -> None:
    found = asyncio.run(run_sweeps(["distance"], EMBEDDED, NullProgress(), seconds=1.0))
    assert found.sweeps == {}
    assert found.skipped == {"sweep distance": NO_DISTANCE}


def test_the_break_even_is_where_both_latencies_are_equal() -> None:
    assert break_even_s(crossing()) == pytest.approx(0.0012)
    assert "it helps beyond its break-even at 1.2 ms" in conclusion("x", crossing())


def test_a_point_without_a_verdict_is_interpolated_over() -> None:
    unclear = crossing()
    unclear[1] = point(DISTANCES_S[1], off=1.0, on=1.0)
    invalid = crossing()
    invalid[2] = point(DISTANCES_S[2], off=1.0, on=9.0, is_valid=False)
    assert [break_even_s(points) for points in (unclear, invalid)] == pytest.approx([0.0012, 0.0012])


def test_a_technique_that_helps_at_every_distance_has_no_break_even() -> None:
    assert break_even_s(helping()) is None
    assert conclusion("eager_loading", helping()) == (
        "eager_loading 2.50× at 0 ms, 26.7× at 0.5 ms, 50.8× at 2 ms, 68.4× at 10 ms: "  # noqa: RUF001 the sign of the report
        "it helps at every distance, so there is no break-even"
    )


def test_a_technique_without_an_effect_is_not_recommended() -> None:
    equal = [point(each, off=0.01, on=0.01) for each in DISTANCES_S]
    late = [*equal[:3], point(DISTANCES_S[3], off=0.02, on=0.01)]
    assert conclusion("x", equal).endswith(": no difference seen")
    assert conclusion("x", late).endswith(": it helps at 10 ms")
    found = sweep_result({"x": equal, "y": late, "z": []})
    assert found.recommendation == "y"
    assert sweep_result({"x": equal}).recommendation is None
    assert sweep_result({"z": []}).reason == "nothing was measured"


def test_the_slopes_are_the_round_trips_of_a_request() -> None:
    assert "adds 300.0 ms to a request without it and 4.0 ms with it" in slope_note("x", helping())
    assert slope_note("x", helping()[:1]) == ""


def test_the_sweep_is_drawn_and_listed_by_distance() -> None:
    found = sweep_result({"eager_loading": helping()}, skipped={"local_cache": "why"})
    text = "\n".join(sweep_markdown(found))
    assert "| **eager_loading** | **0.5 ms** | **160 ms** | **6.00 ms** | **26.7×** |" in text  # noqa: RUF001 the sign of the report
    assert "local_cache was not measured: why" in text
    (drawn,) = found.curves[0].lines
    assert drawn.points[0] == pytest.approx((0.0, 2.5))
    page = html(result().model_copy(update={"sweeps": {"distance": found}}))
    assert page.count("round-trip time added") >= 2


def test_a_result_states_its_distance() -> None:
    near = result()
    far = near.model_copy(update={"distance_s": 0.0005})
    sentence = "The embedded database has no distance; a round-trip time of 0.5 ms is added between the arms and "
    for text in (html(far), markdown(far)):
        assert f"{sentence}their servers (weather service)." in text
    for text in (html(near), markdown(near)):
        assert "round-trip time" not in text
    assert '"distance_s":0.0005' in far.model_dump_json()
    assert distance_sentence(0.001, REMOTE.servers.described()) == (
        "A round-trip time of 1 ms is added between the arms and their servers (database, weather service)."
    )
