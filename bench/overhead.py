"""The overhead of instrumentation on a small route: each signal alone, common packages together, and ours.

`python -m bench.overhead` prints the table and exits with 1 if one of ours keeps 5 points less of the bare throughput
than when the baseline was recorded, or if the what-if metrics take more than 3; `--record` writes the baseline and the
page that publishes it.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Final

from rich.console import Console
from rich.table import Table

from bench.arms import ARMS, Arm
from bench.collector_stub import CollectorStub, collector_stub
from bench.competitor import CompetitorSpec, CompetitorStats, measured
from bench.environment import python_with
from bench.microbench import steps
from bench.overhead_page import WHATIF_POINTS, Row, page, whatif_points

STARTS: Final = 7
ROUNDS: Final = 5
"""Per start."""
REQUESTS: Final = 1_000
BASELINE: Final = Path(__file__).with_name("overhead.json")
PAGE: Final = Path("docs/overhead.md")
WORSE_BY: Final = 0.05
"""Decrease from the baseline that fails."""

REFERENCES: Final = {"bare-100-routes": "bare-100-routes", "ours-100-routes": "bare-100-routes"}
"""The arm to compare with, if not `bare`."""


def main(arguments: list[str]) -> int:
    """Measure, print, compare with the baseline or record it; return the exit code."""
    if set(arguments) - {"--record"}:
        sys.stderr.write("usage: python -m bench.overhead [--record]\n")
        return 2
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with collector_stub() as stub:
        figures = measured([_entry(arm, stub) for arm in ARMS], starts=STARTS, rounds=ROUNDS)
    by_name = {arm.name: one for arm, one in zip(ARMS, figures, strict=True)}
    silent = [arm.name for arm in ARMS if arm.exports and not stub.size_bytes[arm.name]]
    if silent:
        sys.stderr.write(f"not a measurement: {', '.join(silent)} exported nothing\n")
        return 2
    rows = [_row(arm, by_name) for arm in ARMS]
    console = Console()
    console.print(_table(rows))
    if arguments:
        BASELINE.write_text(json.dumps({row.name: round(row.kept, 3) for row in rows}, indent=2) + "\n")
        PAGE.write_text(page(rows, steps(), starts=STARTS, rounds=ROUNDS, requests=REQUESTS))
        console.print(f"wrote {BASELINE.name} and {PAGE}")
        return 0
    if not BASELINE.exists():
        console.print("there is no baseline to compare with; record one by `make bench-overhead RECORD=1`")
        return 2
    worse = [*regressions(rows, json.loads(BASELINE.read_text())), *costly_whatif(rows)]
    for line in worse:
        console.print(line)
    return 1 if worse else 0


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
        kept=median(kept),
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
