"""Stacks in py-spy's format become functions and seconds with known values."""

from pathlib import Path

import pytest

from lab.profile.stacks import OTHER, Sample, cpu_by_stack, folded, is_own, package_of, samples_of, shortened

ROOT = Path("/srv/app")
SITE = "/srv/venv/lib/python3.11/site-packages"
LOOP = "Runner.run (/usr/lib/python3.11/asyncio/runners.py:86)"
BOARD = f"departures ({ROOT}/service/airports/routes.py:86)"


@pytest.mark.parametrize(
    ("stack", "names"),
    [
        (
            [f"main ({ROOT}/flightdeck/cli.py:23)", LOOP, f"app ({SITE}/fastapi/routing.py:9)", BOARD],
            ("event loop", "fastapi: app", "departures (service/airports/routes.py)"),
        ),
        (
            [BOARD, f"dumps ({SITE}/json5/lib.py:1)", f"walk ({SITE}/json5/lib.py:2)", BOARD],
            ("departures (service/airports/routes.py)", "json5: dumps", "departures (service/airports/routes.py)"),
        ),
        (
            [
                "Thread._bootstrap (/usr/lib/python3.11/threading.py:988)",
                "Thread.run (/usr/lib/python3.11/threading.py:971)",
                f"worker (x) ({SITE}/aiosqlite/core.py:48)",
            ],
            ("aiosqlite: worker (x)",),
        ),
        (["Thread.run (/usr/lib/python3.11/threading.py:971)"], ("threading: Thread",)),
        ([LOOP], ("event loop",)),
        (["<lambda> (<string>:1)", "_find (<frozen importlib._bootstrap>:2)", "odd"], ("python: <lambda>",)),
        (["dumps (/usr/lib/python3.11/json/__init__.py:1)"], ("json: dumps",)),
        (["heappush (/usr/lib/python3.13t/heapq.py:1)"], ("heapq: heappush",)),
    ],
    ids=["loop", "again", "thread", "only a thread", "only the loop", "without a file", "package", "module"],
)
def test_a_stack_begins_at_the_loop_or_thread_and_has_one_frame_per_call_of_a_library(
    stack: list[str], names: tuple[str, ...]
) -> None:
    assert folded(stack, root=ROOT) == names


def test_a_name_says_whose_function_it_is() -> None:
    own, library = folded([BOARD, f"dumps ({SITE}/json5/lib.py:1)"], root=ROOT)
    assert (is_own(own), package_of(own)) == (True, "service")
    assert (is_own(library), package_of(library)) == (False, "json5")


def test_samples_are_counted_by_thread_whatever_the_command_and_the_names_are() -> None:
    text = (
        'process 7:"python -c a; b (c)";thread (7): MainThread;main (a.py:1);f (a.py:2) 3\n'
        'process 7:"python -c a; b (c)";thread (0x9): Thread-1 (serve);f (a.py:2) 2\n'
        "thread (9);f (a.py:2) 1\n"
        'process 7:"python";thread (11): idle 5\n'
        " 42\n"
    )
    assert samples_of(text) == {(7, ("main (a.py:1)", "f (a.py:2)")): 3, (9, ("f (a.py:2)",)): 3}


def test_the_cpu_time_of_a_thread_is_shared_among_its_samples() -> None:
    busy, waiting, ended = (("f (a.py:1)",), ("g (b.py:1)",), ("h (c.py:1)",))
    samples: dict[Sample, int] = {
        (1, busy): 30,
        (1, waiting): 10,
        (2, waiting): 500,
        (3, ended): 1,
        (4, ended): 1,
        (5, busy): 2,
    }
    spent = cpu_by_stack(samples, {1: 2.0, 2: 0.1, 6: 9.0}, ended_cpu_s=0.4)
    assert spent == pytest.approx({("a: f",): 1.5 + 0.2, ("b: g",): 0.5 + 0.1, ("c: h",): 0.2})


def test_threads_without_cpu_time_have_no_stacks() -> None:
    assert cpu_by_stack({(1, ("f (a.py:1)",)): 3}, {1: 0.0}) == {}


def test_calls_that_take_little_are_counted_in_their_callers_and_no_time_is_lost() -> None:
    stacks = {("a", "b", "c"): 5.0, ("a", "b", "d"): 1.0, ("a", "b", "e"): 0.5, ("x", "y"): 3.0}
    assert shortened(stacks, most=4) == stacks
    assert shortened(stacks, most=3) == {("a", "b", "c"): 5.0, ("a", "b"): 1.5, ("x", "y"): 3.0}
    assert shortened(stacks, most=2) == {("a", "b"): 6.5, (OTHER,): 3.0}
    assert shortened(stacks, most=1) == {(OTHER,): 9.5}
