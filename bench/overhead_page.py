"""The page with the measured overhead of instrumentation."""

import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from bench.microbench import Step

GOALS: Final = {"ours-10": 0.85, "ours-10-log": 0.80, "ours-100": 0.60}
WHATIF_POINTS: Final = 3.0
"""Of the bare throughput: what the what-if metrics may take, beside everything else."""
PACKAGES: Final = (
    "fastapi", "starlette", "uvicorn", "opentelemetry-sdk", "prometheus-client",
    "prometheus-fastapi-instrumentator", "sentry-sdk",
)  # fmt: skip


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


TEMPLATE: Final = Path(__file__).parent / "templates" / "overhead.md"


def page(rows: Sequence[Row], steps: Sequence[Step], *, starts: int, rounds: int, requests: int) -> str:
    return TEMPLATE.read_text("utf-8").format(
        starts=starts,
        rounds=rounds,
        requests=f"{requests:,}",
        rows=_table(
            ("arm", "CPU per request", "added", "kept", "middle half", "requests per second"),
            (
                (
                    row.title,
                    f"{row.microseconds:,.0f} µs",
                    "" if row.name == "bare" else f"{row.added:,.0f} µs",
                    f"**{row.kept:.2f}**" if row.name.startswith(("ours", "whatif")) else f"{row.kept:.2f}",
                    f"{row.quartiles[0]:.2f} to {row.quartiles[1]:.2f}",
                    f"{row.per_second:,.0f}",
                )
                for row in rows
            ),
        ),
        goals="\n".join([*(_goal(row) for row in rows if row.name in GOALS), _whatif_goal(rows)]),
        steps=_table(
            ("step", "module", "takes"),
            ((step.title, step.where, f"{step.microseconds:.1f} µs") for step in steps),
        ),
        machine=(
            f"Python {platform.python_version()} on {platform.system()}, {platform.machine()}, "
            f"{os.cpu_count()} processors, on which {os.getloadavg()[1]:.0f} programs wanted to run at a time"
        ),
        packages=", ".join(f"{package} {version(package)}" for package in PACKAGES),
    )


def _goal(row: Row) -> str:
    verdict = "met" if row.kept >= GOALS[row.name] else "missed"
    return f"- {row.title}: {row.kept:.2f}; the goal is {GOALS[row.name]:.2f}: **{verdict}**."


def whatif_points(rows: Sequence[Row]) -> float:
    """Return how many points of the bare throughput the what-if metrics take."""
    kept = {row.name: row.kept for row in rows}
    return 100 * (kept["ours-10"] - kept["whatif-10"])


def _whatif_goal(rows: Sequence[Row]) -> str:
    points = whatif_points(rows)
    verdict = "met" if points <= WHATIF_POINTS else "missed"
    return f"- What-if metrics take {points:.1f} points; the goal is at most {WHATIF_POINTS:.0f}: **{verdict}**."


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---" if number == 0 else "---:" for number in range(len(head))], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
