"""`flightdeck drill`: break something on purpose, see its alert fire, repair it, see the alert resolve."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flightdeck import data

if TYPE_CHECKING:
    from lab.drills.outcome import Outcome

commands = typer.Typer(no_args_is_help=True, help=__doc__)


@commands.command("list")
def list_drills() -> None:
    """List the drills: what each breaks, and which alerts must fire."""
    from rich.console import Console  # noqa: PLC0415 `flightdeck --help` stays quick
    from rich.table import Table  # noqa: PLC0415

    from lab.drills.catalogue import DRILLS  # noqa: PLC0415

    table = Table("drill", "what is broken", "alerts that must fire")
    for drill in DRILLS.values():
        table.add_row(drill.name, drill.breaks, ", ".join(drill.alerts))
    Console().print(table)


@commands.command()
def run(
    names: Annotated[list[str], typer.Argument(help="Names of drills, or `all`.", metavar="NAME...")],
    data_dir: Annotated[Path, typer.Option(help="Where the embedded databases are.", envvar="DATA_DIR")] = Path(
        ".flightdeck"
    ),
    at_once: Annotated[
        int | None, typer.Option(min=1, help="Drills at a time; by default two for each processor.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write the table of all drills to this Markdown file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was seen as JSON.")] = False,
) -> None:
    """Run drills, with a Prometheus and an Alertmanager of their own on the compressed clock."""
    import json  # noqa: PLC0415 `flightdeck --help` stays quick
    import sys  # noqa: PLC0415
    from contextlib import redirect_stdout  # noqa: PLC0415
    from dataclasses import asdict  # noqa: PLC0415

    from lab.databases import DATABASES  # noqa: PLC0415
    from lab.drills.catalogue import DRILLS  # noqa: PLC0415
    from lab.drills.errors import DrillError  # noqa: PLC0415
    from lab.drills.session import run_drills, usually_at_once  # noqa: PLC0415
    from lab.drills.table import report as page  # noqa: PLC0415
    from lab.drills.table import show, show_all  # noqa: PLC0415

    unknown = [name for name in names if name not in {*DRILLS, "all"}]
    if unknown:
        typer.echo(f"no drill {', '.join(unknown)}; there are {', '.join(DRILLS)}, and all", err=True)
        raise typer.Exit(2)
    chosen = [DRILLS[name] for name in (DRILLS if "all" in names else dict.fromkeys(names))]

    def seen(outcome: "Outcome") -> None:
        if not as_json:
            show(outcome)

    if not all((data_dir / name).exists() for name in DATABASES):
        with redirect_stdout(sys.stderr):
            data.load(data_dir=data_dir)
    try:
        outcomes = run_drills(
            chosen,
            data_dir=data_dir,
            at_once=at_once or usually_at_once(),
            seen=seen,
            say=lambda text: typer.echo(text, err=True),
        )
    except DrillError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    is_complete = len(outcomes) == len(chosen)
    if report is not None and is_complete:
        report.write_text(page(outcomes), encoding="utf-8")
    if as_json:
        typer.echo(json.dumps([asdict(outcome) for outcome in outcomes], indent=2))
    elif len(outcomes) > 1:
        show_all(outcomes)
    if not is_complete or any(outcome.failure for outcome in outcomes):
        raise typer.Exit(1)
