"""`flightdeck demo`: see the effects of the techniques in a few minutes."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from flightdeck import data
from flightdeck.exits import exit_unless_measured
from flightdeck.options import DataDir, Quick, Seed, command_line
from flightdeck.results import write_report


def demo(
    quick: Quick = False,
    seed: Seed = 1,
    report: Annotated[
        Path | None, typer.Option(help="Write the HTML report to this file (default: in the data directory).")
    ] = None,
    data_dir: DataDir = Path(".flightdeck"),
) -> None:
    """Load the flights if needed, run five arms under the same traffic, and print the effect of each technique."""
    from dataclasses import replace

    from rich.console import Console

    from lab.demo import demo_job
    from lab.measure.plan import DEMO_QUICK, DEMO_THOROUGH
    from lab.report.live import live_progress
    from lab.report.table import print_headlines, print_notes
    from lab.run import RunOptions, run

    data.load(data_dir=data_dir)
    plan = replace(DEMO_QUICK if quick else DEMO_THOROUGH, seed=seed)
    options = RunOptions(data_dir=data_dir, command=command_line(), plan=plan)
    with live_progress(Console(stderr=True)) as progress:
        result = asyncio.run(run([demo_job(options)], options, progress))
    console = Console()
    print_headlines(result, console)
    print_notes(result, console)
    write_report(result, report or data_dir / "report.html")
    exit_unless_measured(is_interrupted=result.is_interrupted, is_empty=not result.techniques)
