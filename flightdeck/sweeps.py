"""`flightdeck lab sweep`: a setting over its range, and which value to choose."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from flightdeck import results
from flightdeck.options import DataDir, require_data


def sweep(
    names: Annotated[
        list[str], typer.Argument(help="pool-size, threads, page-size, compression, ttl, data-size, or all.")
    ],
    seconds: Annotated[float, typer.Option(min=0.5, help="Of every measured point.")] = 3.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON and nothing else.")] = False,
    report: Annotated[Path | None, typer.Option(help="Where to write the HTML report.")] = None,
    data_dir: DataDir = Path(".flightdeck"),
) -> None:
    """Try settings over their range: a curve for each, and which value to choose."""
    from rich.console import Console

    from lab.core.errors import LabError
    from lab.core.servers import Servers
    from lab.report.live import live_progress
    from lab.run import THOROUGH, RunOptions
    from lab.sweeps.catalogue import KNOWN, run_sweeps, select_sweeps

    servers = Servers.from_environ(os.environ)
    command = " ".join(["flightdeck", *sys.argv[1:]])
    options = RunOptions(data_dir=data_dir, command=command, plan=THOROUGH, servers=servers)
    try:
        asked = select_sweeps(names)
        if servers.has_own_database or any(KNOWN[name].needs_embedded for name in asked):
            require_data(data_dir)
        with live_progress(Console(stderr=True)) as progress:
            result = asyncio.run(run_sweeps(asked, options, progress, seconds=seconds))
    except LabError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    results.show(result, as_json=as_json, report=report)
    if result.is_interrupted:
        raise typer.Exit(130)
    if not result.sweeps:
        raise typer.Exit(1)
