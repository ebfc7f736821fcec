"""Times per request of functions and libraries, and their differences, with known values."""

import pytest

from lab.profile.result import FunctionTime, ProfileResult, by_function, by_library, differences, of_one_arm
from lab.profile.stacks import MOST_STACKS, Stack

MIDDLEWARE, BOARD, RENDER = (
    "Middleware.__call__ (service/http/middleware.py)",
    "departures (service/airports/routes.py)",
    "render (service/api/responses.py)",
)
LAZY = "sqlalchemy: InstrumentedAttribute.__get__"
STACKS = {
    ("event loop",): 0.1,
    ("event loop", "uvicorn: run_asgi"): 0.2,
    ("event loop", "uvicorn: run_asgi", MIDDLEWARE): 0.3,
    ("event loop", "uvicorn: run_asgi", MIDDLEWARE, "fastapi: app", BOARD): 0.4,
    ("event loop", "uvicorn: run_asgi", MIDDLEWARE, "fastapi: app", BOARD, RENDER, "pydantic: dump"): 0.5,
    (LAZY, "aiosqlite: execute"): 0.6,
}
PROFILE = ProfileResult.of(STACKS, requests=10, samples=210)


def test_a_profile_keeps_its_stacks_as_json() -> None:
    kept = ProfileResult.model_validate_json(PROFILE.model_dump_json())
    assert dict(kept.per_request()) == pytest.approx({stack: spent_s / 10 for stack, spent_s in STACKS.items()})
    assert kept.cpu_per_request_s == pytest.approx(0.21)


def test_a_profile_is_bounded() -> None:
    many: dict[Stack, float] = {
        ("event loop", f"library: f{number}"): 1.0 + number for number in range(MOST_STACKS + 50)
    }
    profile = ProfileResult.of(many, requests=1, samples=1)
    assert len(profile.stacks) == MOST_STACKS
    assert sum(spent_s for _, spent_s in profile.per_request()) == pytest.approx(profile.cpu_s)


def test_a_library_counts_for_our_function_that_calls_it() -> None:
    times = by_function(PROFILE)
    assert {name: time.own_s for name, time in times.items()} == pytest.approx(
        {"event loop": 0.01, "uvicorn: run_asgi": 0.02, MIDDLEWARE: 0.03, BOARD: 0.04, RENDER: 0.05, LAZY: 0.06}
    )
    assert [times[name].total_s for name in (MIDDLEWARE, BOARD, RENDER)] == pytest.approx([0.12, 0.09, 0.05])
    assert sum(time.own_s for time in times.values()) == pytest.approx(PROFILE.cpu_per_request_s)


def test_libraries_have_the_time_in_themselves_and_with_what_they_call() -> None:
    times = by_library(PROFILE)
    assert times["service"].own_s == pytest.approx(0.07)
    assert times["service"].total_s == pytest.approx(0.12)
    assert times["sqlalchemy"].own_s == 0
    assert times["sqlalchemy"].total_s == pytest.approx(0.06)
    assert sum(time.own_s for time in times.values()) == pytest.approx(PROFILE.cpu_per_request_s)


def test_a_function_that_calls_itself_counts_once() -> None:
    profile = ProfileResult.of({(BOARD, RENDER, BOARD): 1.0}, requests=1, samples=1)
    assert by_function(profile)[BOARD] == FunctionTime(own_s=1.0, total_s=1.0)


def test_differences_are_ordered_by_size_and_small_ones_are_left_out() -> None:
    off = {"a": FunctionTime(own_s=5.0), "b": FunctionTime(own_s=1.0), "c": FunctionTime(own_s=1.0)}
    on = {"a": FunctionTime(own_s=1.0), "b": FunctionTime(own_s=1.05), "d": FunctionTime(own_s=9.0)}
    found = differences(off, on, most=3, least_s=0.1)
    assert [(difference.name, difference.own_s) for difference in found] == [("d", 9.0), ("a", -4.0), ("c", -1.0)]
    assert [difference.name for difference in differences(off, on, most=1, least_s=0.1)] == ["d"]


def test_the_functions_of_one_arm_are_those_of_the_service_that_the_other_did_not_run() -> None:
    wide, narrow, rare = FunctionTime(own_s=5.0, total_s=5.0), FunctionTime(own_s=3.0, total_s=3.0), FunctionTime()
    off = {MIDDLEWARE: wide, BOARD: narrow, LAZY: wide}
    on = {
        MIDDLEWARE: wide,
        RENDER: wide,
        "compressed (service/compression/codings.py)": narrow,
        "x (service/x.py)": rare,
    }
    on["observe (observability/metrics/histogram.py)"] = wide
    assert [(row.name, row.off, row.on) for row in of_one_arm(off, on, most=2)] == [
        (BOARD, narrow, FunctionTime()),
        (RENDER, FunctionTime(), wide),
        ("compressed (service/compression/codings.py)", FunctionTime(), narrow),
    ]
    assert len(of_one_arm(off, on, most=1)) == 2
