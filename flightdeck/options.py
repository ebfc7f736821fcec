"""Options that several commands have, each with one name and one help text."""

import math
import sys
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from flightdeck.exits import fail

Numbers = TypeVar("Numbers", float, list[float], None)


def finite(value: Numbers) -> Numbers:
    """Reject `inf` and `nan`, which Python reads as numbers."""
    for number in value if isinstance(value, list) else [value]:
        if number is not None and not math.isfinite(number):
            raise typer.BadParameter(f"{number} is not a finite number.")
    return value


DataDir = Annotated[
    Path, typer.Option(envvar="DATA_DIR", help="Directory of the embedded databases; `flightdeck data load` fills it.")
]
OptionalDataDir = Annotated[
    Path | None, typer.Option(help="Directory of the embedded databases (default: DATA_DIR, or .flightdeck).")
]
Host = Annotated[str, typer.Option(help="Address to listen on.")]
MetricsPort = Annotated[
    int | None,
    typer.Option(
        min=0, max=65535, help="Metrics port (default: OTEL_EXPORTER_PROMETHEUS_PORT, or 9464); 0 picks a free one."
    ),
]
Quick = Annotated[bool, typer.Option("--quick", help="Fewer and shorter rounds: faster, with wider intervals.")]
Seed = Annotated[int, typer.Option(min=0, help="Random seed of the traffic.")]
BudgetS = Annotated[
    float | None,
    typer.Option(
        min=1,
        callback=finite,
        help="Time budget per experiment, in seconds; stops earlier once the interval is narrow enough.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON, and nothing else.")]
ReportPath = Annotated[Path | None, typer.Option("--report", help="Write an HTML report to this file.")]


def require_data(data_dir: Path) -> None:
    """Exit with 2 unless the flights are loaded."""
    if not (data_dir / "flightdeck.db").exists():
        fail(f"no flights in {data_dir}; load them first: flightdeck data load")


def command_line() -> str:
    """Return the command as it was typed, for a report, without secrets in the queries of its URLs."""
    from lab.workload.secrets import redacted

    return redacted(" ".join(["flightdeck", *sys.argv[1:]]))
