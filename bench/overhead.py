"""The overhead of instrumentation on a small route: each signal alone, common packages together, and ours.

`python -m bench.overhead` prints the table and exits with 1 if one of ours keeps 5 points less of the bare throughput
than when the baseline was recorded, or if the what-if metrics take more than 3; `--record` writes the baseline, from
which `python -m docsgen.reference` makes the page. `--quick` measures in few rounds, to see that everything runs.
"""

import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from bench.ablation import recorded
from bench.arms import ARMS, Arm
from bench.collector_stub import CollectorStub, collector_stub
from bench.competitor import CompetitorSpec, CompetitorStats, measured
from bench.environment import python_with

STARTS: Final = 7
ROUNDS: Final = 5
"""Per start."""
QUICK: Final = (1, 4)
"""Starts and rounds."""
REQUESTS: Final = 1_000
BASELINE: Final = Path(__file__).with_name("overhead.json")
WORSE_BY: Final = 0.05
"""Decrease from the baseline that fails."""
GOALS: Final = {"ours-10": 0.85, "ours-10-log": 0.80, "ours-100": 0.70}
"""The share of the bare throughput to keep."""
TIMES_OTHERS: Final = 2.0
"""How many times as much ours keeps as an instrumentation that gives traces and metrics as well."""
WHATIF_POINTS: Final = 3.0
"""Of the bare throughput: what the what-if metrics may take, beside everything else."""
PACKAGES: Final = (
    "fastapi", "starlette", "uvicorn", "opentelemetry-sdk", "prometheus-client",
    "prometheus-fastapi-instrumentator", "sentry-sdk",
)  # fmt: skip

REFERENCES: Final = {"bare-100-routes": "bare-100-routes", "ours-100-routes": "bare-100-routes"}
"""The arm to compare with, if not `bare`."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One arm's figures."""

    name: str
    title: str
    microseconds: float
    """CPU time per request."""
    added: float
    """Microseconds added to the bare arm."""
    kept: float
    """As a share of the bare throughput."""
    quartiles: tuple[float, float]
    """Of `kept`, over the rounds."""
    per_second: float
    """Responses per second."""


@dataclass(frozen=True, kw_only=True)
class Goal:
    """A goal, and whether the rows meet it."""

    sentence: str
    met: bool


def main(arguments: list[str]) -> int:
    """Measure, print, compare with the baseline or record it; return the exit code."""
    if set(arguments) - {"--record", "--quick"}:
        sys.stderr.write("usage: python -m bench.overhead [--record] [--quick]\n")
        return 2
    starts, rounds = QUICK if "--quick" in arguments else (STARTS, ROUNDS)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with collector_stub() as stub:
        figures = measured([_entry(arm, stub) for arm in ARMS], starts=starts, rounds=rounds)
        by_name = {arm.name: one for arm, one in zip(ARMS, figures, strict=True)}
        silent = [arm.name for arm in ARMS if arm.exports and not stub.size_bytes[arm.name]]
        if silent:
            sys.stderr.write(f"not a measurement: {', '.join(silent)} exported nothing\n")
            return 2
        rows = [_row(arm, by_name) for arm in ARMS]
        console = Console()
        console.print(_table(rows))
        for goal in goals(rows):
            console.print(f"{goal.sentence}: {'met' if goal.met else 'missed'}")
        if "--record" in arguments:
            BASELINE.write_text(json.dumps(record(rows, stub, starts=starts, rounds=rounds), indent=2) + "\n")
            console.print(f"wrote {BASELINE.name}")
            return 0
    if not BASELINE.exists():
        console.print("there is no baseline to compare with; record one by `make bench-overhead RECORD=1`")
        return 2
    baseline = {name: arm["kept"] for name, arm in json.loads(BASELINE.read_text())["arms"].items()}
    worse = [*regressions(rows, baseline), *costly_whatif(rows)]
    for line in worse:
        console.print(line)
    return 1 if worse else 0


def record(rows: Sequence[Row], stub: CollectorStub, *, starts: int, rounds: int) -> dict[str, Any]:
    """Return what the page shows, with the parts of a request, which are measured now."""
    parts, alternatives = recorded(stub.url("ablation"))
    return {
        "starts": starts,
        "rounds": rounds,
        "requests": REQUESTS,
        "machine": (
            f"Python {platform.python_version()} on {platform.system()}, {platform.machine()}, "
            f"{os.cpu_count()} processors, on which {os.getloadavg()[1]:.0f} programs wanted to run at a time"
        ),
        "packages": {package: version(package) for package in PACKAGES},
        "arms": {row.name: _rounded(row) for row in rows},
        "goals": [asdict(goal) for goal in goals(rows)],
        "parts": [_rounded(part) for part in parts],
        "alternatives": [_rounded(part) for part in alternatives],
    }


def _rounded(figures: Any) -> dict[str, Any]:
    def one(value: Any) -> Any:
        return round(value, 3) if isinstance(value, float) else value

    return {
        name: [one(number) for number in value] if isinstance(value, tuple) else one(value)
        for name, value in asdict(figures).items()
        if name != "name"
    }


def goals(rows: Sequence[Row]) -> list[Goal]:
    """Return every goal with its figure."""
    titles, kept = {row.name: row.title for row in rows}, {row.name: row.kept for row in rows}
    shares = [
        Goal(sentence=f"{titles[name]}: {kept[name]:.2f}; the goal is {least:.2f}", met=kept[name] >= least)
        for name, least in GOALS.items()
        if name in kept
    ]
    others = [
        Goal(
            sentence=f"{kept[arm.compared_with] / kept[arm.name]:.1f} times as much as {arm.title}; "
            f"the goal is {TIMES_OTHERS:.0f} times",
            met=kept[arm.compared_with] >= TIMES_OTHERS * kept[arm.name],
        )
        for arm in ARMS
        if {arm.name, arm.compared_with} <= kept.keys()
    ]
    points = whatif_points(rows)
    sentence = f"What-if metrics take {points:.1f} points; the goal is at most {WHATIF_POINTS:.0f}"
    return [*shares, *others, Goal(sentence=sentence, met=points <= WHATIF_POINTS)]


def whatif_points(rows: Sequence[Row]) -> float:
    """Return how many points of the bare throughput the what-if metrics take."""
    kept = {row.name: row.kept for row in rows}
    return 100 * (kept["ours-10"] - kept["whatif-10"])


def regressions(rows: Sequence[Row], baseline: Mapping[str, float]) -> list[str]:
    """Return a line for each of our arms that keeps noticeably less throughput than at the baseline."""
    return [
        f"{row.name} keeps {row.kept:.2f} of the bare throughput; it was {baseline[row.name]:.2f}"
        for row in rows
        if row.name.startswith("ours") and row.kept < baseline.get(row.name, 0.0) - WORSE_BY
    ]


def costly_whatif(rows: Sequence[Row]) -> list[str]:
    """Return a line if the what-if metrics take more of the bare throughput than they may."""
    points = whatif_points(rows)
    if points <= WHATIF_POINTS:
        return []
    return [f"what-if metrics take {points:.1f} points of the bare throughput; at most {WHATIF_POINTS:.0f} are allowed"]


def _entry(arm: Arm, stub: CollectorStub) -> CompetitorSpec:
    return CompetitorSpec(
        title=arm.title,
        command=[python_with(arm.requirements), "-m", "bench.arms", arm.name],
        path="/items/7",
        requests=REQUESTS,
        environ={"BENCH_COLLECTOR": stub.url(arm.name)},
    )


def _row(arm: Arm, by_name: Mapping[str, CompetitorStats]) -> Row:
    one, reference = by_name[arm.name], by_name[REFERENCES.get(arm.name, "bare")]
    kept = one.kept(reference)
    first, _, third = quantiles(kept, n=4)
    return Row(
        name=arm.name,
        title=arm.title,
        microseconds=one.microseconds,
        added=median(own - theirs for own, theirs in zip(one.seconds, reference.seconds, strict=True)) * 1e6,
        kept=round(median(kept), 3),  # as in the baseline
        quartiles=(first, third),
        per_second=median(one.per_second),
    )


def _table(rows: Sequence[Row]) -> Table:
    table = Table(title="What instrumentation costs a small route")
    for column in ("arm", "CPU per request", "added", "kept", "middle half", "requests/s"):
        table.add_column(column, justify="left" if column == "arm" else "right")
    for row in rows:
        low, high = row.quartiles
        table.add_row(
            row.title,
            f"{row.microseconds:,.0f} µs",
            f"{row.added:,.0f} µs",
            f"{row.kept:.3f}",
            f"{low:.2f} to {high:.2f}",
            f"{row.per_second:,.0f}",
        )
    return table


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
