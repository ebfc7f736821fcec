"""`flightdeck lab`: measure what techniques buy, on this machine."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from flightdeck import results, sweeps
from flightdeck.options import DataDir, require_data

commands = typer.Typer(no_args_is_help=True, help=__doc__)


@commands.command("list")
def list_experiments(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the experiments: what each compares, under which traffic, judged by what; then the sweeps."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from lab.core.servers import Servers
    from lab.experiments import AA, BY_NAME
    from lab.sweeps.catalogue import KNOWN

    servers = Servers.from_environ(os.environ)
    listed = [*BY_NAME.values(), AA]
    missing = {each.name: servers.missing(each.required_settings) for each in listed}
    if as_json:
        rows = [
            {
                "name": each.name,
                "techniques": sorted(each.techniques),
                "question": each.question,
                "mix": each.mix,
                "headline": each.headline,
                "missing": missing[each.name],
            }
            for each in listed
        ]
        typer.echo(json.dumps(rows, indent=2))
        return
    table = Table("experiment", "question", "traffic", "judged by", header_style="dim")
    for each in listed:
        question = Text(each.question)
        if missing[each.name]:
            question.append(f"\nto run it, set {' and '.join(missing[each.name])}: {each.requirement}", style="yellow")
        table.add_row(each.name, question, each.mix, each.headline)
    swept = Table("sweep", "question", header_style="dim")
    for name, each_sweep in KNOWN.items():
        swept.add_row(name, each_sweep.question)
    Console().print(table, swept)


@commands.command()
def run(  # noqa: PLR0913, PLR0917 the options of a command
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Techniques, caching, together; all by default. Or nothing: two equal arms."),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer and shorter rounds: wider intervals.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON and nothing else.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the traffic: the same seed asks for the same.")] = 1,
    budget_s: Annotated[
        float | None, typer.Option(min=1, help="Seconds of rounds per experiment, unless its interval is tight before.")
    ] = None,
    leave_one_out: Annotated[
        bool, typer.Option("--leave-one-out", help="Also compare everything with everything but the technique.")
    ] = False,
    control: Annotated[
        bool, typer.Option("--control", help="Also measure where the technique should make no difference.")
    ] = False,
    report: Annotated[Path | None, typer.Option(help="Where to write the HTML report.")] = None,
    metrics_port: Annotated[
        int,
        typer.Option(min=0, max=65535, help="Port of 127.0.0.1 where results can be scraped meanwhile; 0: none."),
    ] = 0,
    metrics_file: Annotated[
        Path | None, typer.Option(help="Where to write the same as a Prometheus text file, which stays.")
    ] = None,
    data_dir: DataDir = Path(".flightdeck"),
) -> None:
    """Measure techniques: the same traffic with and without each, in turn, until the intervals are tight."""
    from dataclasses import replace

    from rich.console import Console

    from lab.core.errors import LabError
    from lab.core.servers import Servers
    from lab.experiments import select_experiments
    from lab.report.live import live_progress
    from lab.run import QUICK, THOROUGH, RunOptions
    from lab.run import run as run_lab

    plan = replace(QUICK if quick else THOROUGH, seed=seed)
    if budget_s is not None:
        plan = replace(plan, budget_s=budget_s)
    servers = Servers.from_environ(os.environ)
    try:
        experiments = select_experiments(names or ["all"])
    except LabError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    if servers.has_own_database:
        require_data(data_dir)
    options = RunOptions(
        data_dir=data_dir,
        command=" ".join(["flightdeck", *sys.argv[1:]]),
        plan=plan,
        servers=servers,
        leave_one_out=leave_one_out,
        control=control,
    )
    try:
        with (
            live_progress(Console(stderr=True)) as progress,
            results.observer(metrics_port, metrics_file, say=progress.status) as observer,
        ):
            result = asyncio.run(run_lab(experiments, options, progress, observer))
    except LabError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    results.show(result, as_json=as_json, report=report)
    if result.is_interrupted:
        raise typer.Exit(130)
    if not result.techniques:
        raise typer.Exit(1)


@commands.command()
def compare(  # noqa: PLR0913, PLR0917 the options of a command
    url_a: Annotated[str, typer.Argument(help="The service to compare with, as http://host:port.")],
    url_b: Annotated[str, typer.Argument(help="The service that may be better.")],
    requests: Annotated[list[str], typer.Option("--request", help="What to ask both, as 'GET /path'; repeat it.")],
    metrics_a: Annotated[str, typer.Option(help="URL of the first one's Prometheus metrics.")] = "",
    metrics_b: Annotated[str, typer.Option(help="URL of the second one's Prometheus metrics.")] = "",
    rate: Annotated[
        float, typer.Option(min=0, help="Requests per second; by default what the slower one can well take.")
    ] = 0.0,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer and shorter rounds: wider intervals.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON and nothing else.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the arrivals.")] = 1,
    budget_s: Annotated[
        float | None, typer.Option(min=1, help="Seconds of rounds, unless the interval is tight before.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Where to write the HTML report.")] = None,
) -> None:
    """Compare two services that already run, with nothing but HTTP: same requests, in turn, with intervals."""
    from dataclasses import replace

    from rich.console import Console

    from lab.compare import Service, parsed_request
    from lab.compare import compare as compare_services
    from lab.core.errors import LabError
    from lab.core.servers import Servers
    from lab.report.live import live_progress
    from lab.run import QUICK, THOROUGH, RunOptions

    plan = replace(QUICK if quick else THOROUGH, seed=seed, rate_per_s=rate)
    if budget_s is not None:
        plan = replace(plan, budget_s=budget_s)
    command = " ".join(["flightdeck", *sys.argv[1:]])
    options = RunOptions(data_dir=Path(), command=command, plan=plan, servers=Servers({}))
    first = Service(name="A", url=url_a, metrics_url=metrics_a)
    second = Service(name="B", url=url_b, metrics_url=metrics_b)
    try:
        asked = [parsed_request(text) for text in requests]
        with live_progress(Console(stderr=True)) as progress:
            result = asyncio.run(compare_services(first, second, asked, options, progress))
    except LabError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    results.show(result, as_json=as_json, report=report)
    if result.is_interrupted:
        raise typer.Exit(130)
    if not result.techniques:
        raise typer.Exit(1)


commands.command()(sweeps.sweep)
commands.command("report")(results.write_reports)
commands.command()(results.schema)
commands.command()(results.serve)
