"""`flightdeck drill`: break something on purpose, see its alert fire, repair it, see the alert resolve."""

import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from flightdeck import data

if TYPE_CHECKING:
    from lab.drills.environments.session import Work
    from lab.drills.run.drill import Expectation
    from lab.drills.run.outcome import Outcome

commands = typer.Typer(no_args_is_help=True, help=__doc__)

DATA_DIR: Final = Path(".flightdeck")
OnCompose = Annotated[
    bool,
    typer.Option("--compose", help="On the running stack of the compose file here, instead of servers of its own."),
]


@commands.command("list")
def list_drills(on_compose: OnCompose = False) -> None:
    """List the drills: what each breaks, and which alerts must fire."""
    from lab.drills.run.table import show_list

    show_list(list(_known(on_compose=on_compose).values()))


@commands.command()
def run(  # noqa: PLR0913, PLR0917 an option each
    names: Annotated[list[str], typer.Argument(help="Names of drills, or `all`.", metavar="NAME...")],
    data_dir: Annotated[Path, typer.Option(help="Where the embedded databases are.", envvar="DATA_DIR")] = DATA_DIR,
    at_once: Annotated[
        int | None, typer.Option(min=1, help="Drills at a time; by default two for each processor.")
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option(help="A drill that `all` leaves out; may be repeated.", metavar="NAME")
    ] = None,
    on_compose: OnCompose = False,
    report: Annotated[Path | None, typer.Option(help="Write the table of all drills to this Markdown file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was seen as JSON.")] = False,
) -> None:
    """Run drills: each breaks something for real, and Prometheus, Alertmanager and a receiver have to notice."""
    import json
    from dataclasses import asdict

    from lab.drills.environments.session import collected
    from lab.drills.run.errors import DrillError
    from lab.drills.run.table import report as page
    from lab.drills.run.table import show, show_all

    known = _known(on_compose=on_compose)
    left_out = without or []
    unknown = [name for name in (*names, *left_out) if name not in {*known, "all"}]
    if unknown:
        typer.echo(f"no drill {', '.join(unknown)}; there are {', '.join(known)}, and all", err=True)
        raise typer.Exit(2)
    chosen = [name for name in known if name not in left_out] if "all" in names else list(dict.fromkeys(names))

    def seen(outcome: "Outcome") -> None:
        if not as_json:
            show(outcome)

    work = _on_compose(chosen) if on_compose else _embedded(chosen, data_dir, at_once)
    try:
        by_name = collected(work, seen=seen, say=_say)
    except DrillError as error:
        _say(str(error))
        raise typer.Exit(1) from error
    outcomes = [by_name[name] for name in chosen if name in by_name]
    is_complete = len(outcomes) == len(chosen)
    if report is not None and is_complete:
        report.write_text(page(outcomes), encoding="utf-8")
    if as_json:
        typer.echo(json.dumps([asdict(outcome) for outcome in outcomes], indent=2))
    elif len(outcomes) > 1:
        show_all(outcomes)
    if not is_complete or any(outcome.failure for outcome in outcomes):
        raise typer.Exit(1)


def _known(*, on_compose: bool) -> "Mapping[str, Expectation]":
    from lab.drills.catalogue import DRILLS
    from lab.drills.compose_catalogue import COMPOSE_DRILLS

    return COMPOSE_DRILLS if on_compose else DRILLS


def _on_compose(names: list[str]) -> "Work":
    from lab.drills.compose_catalogue import COMPOSE_DRILLS
    from lab.drills.environments.compose_run import run_on_compose

    return partial(run_on_compose, [COMPOSE_DRILLS[name] for name in names], say=_say)


def _embedded(names: list[str], data_dir: Path, at_once: int | None) -> "Work":
    from lab.arms.databases import DATABASES
    from lab.drills.catalogue import DRILLS
    from lab.drills.environments.embedded import run_embedded, usually_at_once

    if not all((data_dir / name).exists() for name in DATABASES):
        with redirect_stdout(sys.stderr):
            data.load(data_dir=data_dir)
    drills = [DRILLS[name] for name in names]
    return partial(run_embedded, drills, data_dir=data_dir, at_once=at_once or usually_at_once(), say=_say)


def _say(text: str) -> None:
    typer.echo(text, err=True)
