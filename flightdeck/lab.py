"""`flightdeck lab`: measure what techniques buy, on this machine."""

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lab.result import LabResult

commands = typer.Typer(no_args_is_help=True, help=__doc__)

DataDir = Annotated[
    Path, typer.Option(envvar="DATA_DIR", help="Where the embedded databases are; `flightdeck data load` makes them.")
]


@commands.command("list")
def list_experiments(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the experiments: what each compares, under which traffic, judged by what."""
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    from lab.experiments import ELSEWHERE_TESTED, EXPERIMENTS  # noqa: PLC0415 `flightdeck --help` stays quick

    if as_json:
        rows = [{"name": e.name, "question": e.question, "mix": e.mix, "headline": e.headline} for e in EXPERIMENTS]
        typer.echo(json.dumps(rows, indent=2))
        return
    table = Table("experiment", "question", "traffic", "judged by", header_style="dim")
    for experiment in EXPERIMENTS:
        table.add_row(experiment.name, experiment.question, experiment.mix, experiment.headline)
    for name, needed in ELSEWHERE_TESTED.items():
        table.add_row(name, f"not run on the embedded service: needs {needed}", "", "", style="dim")
    Console().print(table)


@commands.command()
def run(  # noqa: PLR0913, PLR0917 the options of a command
    names: Annotated[
        list[str] | None, typer.Argument(help="Techniques, or the arms caching and optimized; all by default.")
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
    elsewhere: Annotated[
        bool, typer.Option("--elsewhere", help="Also measure where the technique should make no difference.")
    ] = False,
    report: Annotated[Path | None, typer.Option(help="Where to write the HTML report.")] = None,
    data_dir: DataDir = Path(".flightdeck"),
) -> None:
    """Measure techniques: the same traffic with and without each, in turn, until the intervals are tight."""
    from dataclasses import replace  # noqa: PLC0415 `flightdeck --help` stays quick

    from rich.console import Console  # noqa: PLC0415

    from lab.errors import LabError  # noqa: PLC0415
    from lab.experiments import chosen  # noqa: PLC0415
    from lab.live import watching  # noqa: PLC0415
    from lab.run import QUICK, THOROUGH, RunOptions, not_embedded  # noqa: PLC0415
    from lab.run import run as run_lab  # noqa: PLC0415

    plan = replace(QUICK if quick else THOROUGH, seed=seed)
    if budget_s is not None:
        plan = replace(plan, budget_s=budget_s)
    skipped = not_embedded(names or [])
    try:
        experiments = chosen([name for name in names or [] if name not in skipped] if names else ["all"])
    except LabError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    require_data(data_dir)
    options = RunOptions(
        data_dir=data_dir,
        command=" ".join(["flightdeck", *sys.argv[1:]]),
        plan=plan,
        leave_one_out=leave_one_out,
        elsewhere=elsewhere,
    )
    with watching(Console(stderr=True)) as watch:
        result = asyncio.run(run_lab(experiments, options, watch))
    result.skipped |= skipped
    show(result, as_json=as_json, report=report)
    if result.is_interrupted:
        raise typer.Exit(130)


def show(result: "LabResult", *, as_json: bool, report: Path | None) -> None:
    """Print the result, and write the report where one is wanted."""
    from rich.console import Console  # noqa: PLC0415 `flightdeck --help` stays quick

    from lab.table import print_result  # noqa: PLC0415

    if as_json:
        typer.echo(result.model_dump_json(indent=2))
    else:
        print_result(result, Console())
    if report is not None:
        write_report(result, report)


def write_report(result: "LabResult", path: Path) -> None:
    """Write the report of what was measured, if anything was, and say where it is."""
    from lab.report import write  # noqa: PLC0415 `flightdeck --help` stays quick

    if result.techniques or result.elsewhere:
        typer.echo(f"report: {write(result, path).resolve()}", err=True)


def require_data(data_dir: Path) -> None:
    """End with what to do where the databases are missing."""
    if not (data_dir / "flightdeck.db").exists():
        typer.echo(f"no flights in {data_dir}; `flightdeck data load` loads them", err=True)
        raise typer.Exit(2)
