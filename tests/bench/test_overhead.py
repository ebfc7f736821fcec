"""The benchmark of the instrumentation fails when it should, and the page says what was measured."""

import json
import sys
from pathlib import Path

import pytest

from bench.arms import ARMS
from bench.environment import python_with
from bench.overhead import BASELINE, PAGE, costly_whatif, regressions
from bench.overhead_page import GOALS, Row, page

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
    (line,) = [
        line
        for line in page(rows, [], starts=1, rounds=1, requests=1).splitlines()
        if line.startswith("- What-if metrics take")
    ]
    assert line.endswith(f"at most 3: **{verdict}**.")


def test_the_baseline_has_every_arm_of_ours() -> None:
    baseline = json.loads(BASELINE.read_text())
    assert {arm.name for arm in OURS} <= set(baseline)
    assert set(GOALS) <= set(baseline)


@pytest.mark.parametrize("name", [arm.name for arm in OURS])
def test_the_page_was_made_from_the_same_run_as_the_baseline(name: str) -> None:
    kept = json.loads(BASELINE.read_text())[name]
    title = next(arm.title for arm in ARMS if arm.name == name)
    (line,) = [line for line in Path(PAGE).read_text().splitlines() if line.startswith(f"| {title} |")]
    shown = float(line.split("|")[4].strip().strip("*"))
    assert shown == pytest.approx(kept, abs=0.006)


def test_packages_of_other_environments_are_pinned_and_not_ours() -> None:
    assert python_with(()) == sys.executable
    requirements = {requirement for arm in ARMS for requirement in arm.requirements}
    assert requirements
    assert all("==" in requirement for requirement in requirements)
    assert not any(arm.requirements for arm in OURS)
