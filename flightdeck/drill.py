"""`flightdeck drill`: break something on purpose, see its alert fire, repair it, see the alert resolve."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lab.drills.run import Outcome

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
    report: Annotated[Path | None, typer.Option(help="Write the table of all drills to this Markdown file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was seen as JSON.")] = False,
) -> None:
    """Run drills one after the other, with Prometheus and Alertmanager of their own on the compressed clock."""
    import json  # noqa: PLC0415 `flightdeck --help` stays quick
    from dataclasses import asdict  # noqa: PLC0415

    from lab.drills.catalogue import DRILLS  # noqa: PLC0415
    from lab.drills.session import run_in_order  # noqa: PLC0415
    from lab.drills.table import report as page  # noqa: PLC0415
    from lab.drills.table import show, show_all  # noqa: PLC0415

    unknown = [name for name in names if name not in {*DRILLS, "all"}]
    if unknown:
        typer.echo(f"no drill {', '.join(unknown)}; there are {', '.join(DRILLS)}, and all", err=True)
        raise typer.Exit(2)
    chosen = list(DRILLS.values()) if "all" in names else [DRILLS[name] for name in names]

    def seen(outcome: "Outcome") -> None:
        if not as_json:
            show(outcome)

    outcomes = run_in_order(chosen, data_dir=data_dir, seen=seen, say=lambda text: typer.echo(text, err=True))
    if report is not None:
        report.write_text(page(outcomes), encoding="utf-8")
    if as_json:
        typer.echo(json.dumps([asdict(outcome) for outcome in outcomes], indent=2))
    elif len(outcomes) > 1:
        show_all(outcomes)
    if len(outcomes) < len(chosen) or any(outcome.failure for outcome in outcomes):
        raise typer.Exit(1)
