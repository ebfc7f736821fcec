"""The benchmark of the instrumentation fails when it should, and the page says what was measured."""

import asyncio
import json
import sys
from functools import cache
from typing import Any

import pytest

from bench.ablation import ALTERNATIVES, PARTS, measured
from bench.arms import ARMS
from bench.collector_stub import collector_stub
from bench.environment import python_with
from bench.overhead import BASELINE, GOALS, Row, costly_whatif, goals, regressions
from docsgen.overhead_page import overhead_page
from docsgen.reference import render

OURS = [arm for arm in ARMS if arm.name.startswith("ours")]


def row(name: str, kept: float) -> Row:
    return Row(name=name, title=name, microseconds=1, added=1, kept=kept, quartiles=(kept, kept), per_second=1)


@pytest.mark.parametrize(
    ("name", "kept", "is_loud"),
    [
        ("ours-10", 0.85, False),
        ("ours-10", 0.81, False),
        ("ours-10", 0.79, True),
        ("ours-10", 0.95, False),
        ("naive", 0.01, False),
        ("ours-new", 0.01, False),
    ],
)
def test_five_points_less_of_ours_is_a_regression(name: str, kept: float, is_loud: bool) -> None:
    lines = regressions([row("bare", 1.0), row(name, kept)], {"ours-10": 0.85, "naive": 0.10})
    assert lines == ([f"{name} keeps {kept:.2f} of the bare throughput; it was 0.85"] if is_loud else [])


@pytest.mark.parametrize(("kept", "verdict"), [(0.84, "met"), (0.79, "missed")])
def test_what_if_metrics_that_take_more_than_three_points_fail_and_are_published_as_missed(
    kept: float, verdict: str
) -> None:
    rows = [row("bare", 1.0), row("ours-10", 0.86), row("whatif-10", kept)]
    assert bool(costly_whatif(rows)) == (verdict == "missed")
    (goal,) = [goal for goal in goals(rows) if goal.sentence.startswith("What-if metrics take")]
    assert goal.sentence.endswith("at most 3")
    assert goal.met == (verdict == "met")


@pytest.mark.parametrize(("kept", "met"), [(0.40, True), (0.45, False)])
def test_ours_keeps_twice_as_much_as_another_with_traces_and_metrics(kept: float, met: bool) -> None:
    rows = [row("bare", 1.0), row("ours-10", 0.86), row("whatif-10", 0.86), row("logfire-10", kept)]
    (goal,) = [goal for goal in goals(rows) if "logfire" in goal.sentence]
    assert goal.met == met


def test_every_arm_that_exports_as_others_do_is_compared_with_one_of_ours() -> None:
    assert {arm.compared_with for arm in ARMS} - {""} == {"ours-10", "ours-100"}


@cache
def recorded() -> dict[str, Any]:
    record: dict[str, Any] = json.loads(BASELINE.read_text())
    return record


def test_the_baseline_has_every_arm_in_order() -> None:
    assert [arm.name for arm in ARMS] == list(recorded()["arms"])
    assert set(GOALS) <= set(recorded()["arms"])


def test_the_baseline_has_the_goals_of_its_figures() -> None:
    rows = [Row(name=name, **arm) for name, arm in recorded()["arms"].items()]
    assert [goal.met for goal in goals(rows)] == [goal["met"] for goal in recorded()["goals"]]


def test_the_baseline_has_every_part_and_alternative() -> None:
    assert [part.title for part in PARTS] == [part["title"] for part in recorded()["parts"]]
    assert [part.title for part in ALTERNATIVES] == [part["title"] for part in recorded()["alternatives"]]


@pytest.mark.parametrize("name", [arm.name for arm in ARMS])
def test_the_page_was_made_from_the_same_run_as_the_baseline(name: str) -> None:
    kept = recorded()["arms"][name]["kept"]
    title = next(arm.title for arm in ARMS if arm.name == name)
    (line,) = [line for line in render("overhead.md").splitlines() if line.startswith(f"| {title} |")]
    shown = float(line.split("|")[4].strip().strip("*"))
    assert shown == pytest.approx(kept, abs=0.006)


def test_the_parts_on_the_page_add_up_to_the_whole() -> None:
    first, *others = [line.split("|") for line in overhead_page()["parts"].splitlines()[2:]]
    whole = float(first[3].split()[0]) + sum(float(cells[4].split()[0]) for cells in others)
    assert whole == pytest.approx(float(others[-1][3].split()[0]), abs=0.05 * len(others) + 0.11)  # each is rounded


def test_every_variant_serves_requests_and_the_sampled_ones_export(monkeypatch: pytest.MonkeyPatch) -> None:
    variants = (*PARTS, *ALTERNATIVES)
    with collector_stub() as stub:
        sizes = []
        for number, variant in enumerate(variants):
            monkeypatch.setenv("BENCH_COLLECTOR", stub.url(str(number)))
            (part,) = asyncio.run(measured([variant], rounds=1, requests=4))
            assert part.request_us > 0
            sizes.append(stub.size_bytes[str(number)])
    sampled = [(variant.settings or {}).get("traces_sampler") == "always_on" for variant in variants]
    assert [size > 0 for size in sizes] == sampled


def test_packages_of_other_environments_are_pinned_and_not_ours() -> None:
    assert python_with(()) == sys.executable
    requirements = {requirement for arm in ARMS for requirement in arm.requirements}
    assert requirements
    assert all("==" in requirement for requirement in requirements)
    assert not any(arm.requirements for arm in OURS)
