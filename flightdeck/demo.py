"""`flightdeck demo`: see what the techniques do, in a few minutes."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from flightdeck import data
from flightdeck.options import DataDir
from flightdeck.results import write_report


def demo(
    quick: Annotated[bool, typer.Option("--quick", help="Under a minute and a half, with wider intervals.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the traffic: the same seed asks for the same.")] = 1,
    report: Annotated[
        Path | None, typer.Option(help="Where to write the report; by default in the data directory.")
    ] = None,
    data_dir: DataDir = Path(".flightdeck"),
) -> None:
    """Load the flights if needed, run five arms under the same traffic, and show what each technique buys."""
    from dataclasses import replace

    from rich.console import Console

    from lab.demo import QUICK, THOROUGH, demonstrate
    from lab.report.live import live_progress
    from lab.report.table import print_headlines, print_notes
    from lab.run import RunOptions

    data.load(data_dir=data_dir)
    options = RunOptions(
        data_dir=data_dir,
        command=" ".join(["flightdeck", *sys.argv[1:]]),
        plan=replace(QUICK if quick else THOROUGH, seed=seed),
    )
    with live_progress(Console(stderr=True)) as progress:
        result = asyncio.run(demonstrate(options, progress))
    console = Console()
    print_headlines(result, console)
    print_notes(result, console)
    write_report(result, report or data_dir / "report.html")
    if result.is_interrupted:
        raise typer.Exit(130)
    if not result.techniques:
        raise typer.Exit(1)
