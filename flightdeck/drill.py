"""Inject a fault, see its alert fire and be delivered, end the fault, see the alert resolve."""

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flightdeck import data
from flightdeck.exits import fail, failing_on
from flightdeck.options import AsJson, DataDir

if TYPE_CHECKING:
    from lab.drills.run.drill import BaseDrill
    from lab.drills.run.outcome import OnOutcome, Outcome

    Run = Callable[[OnOutcome], Coroutine[None, None, None]]

commands = typer.Typer(no_args_is_help=True, help=__doc__)

OnCompose = Annotated[
    bool, typer.Option("--compose", help="Use the running compose stack of this directory, not embedded servers.")
]


@commands.command("list")
def list_drills(on_compose: OnCompose = False) -> None:
    """List the drills: the fault of each, and the alerts that must fire."""
    from lab.drills.run.table import show_list

    show_list(list(_drills(on_compose=on_compose).values()))


@commands.command()
def run(  # noqa: PLR0913, PLR0917 each is an option of the command
    names: Annotated[list[str], typer.Argument(help="Names of drills, or `all`.", metavar="NAME...")],
    data_dir: DataDir = Path(".flightdeck"),
    parallel: Annotated[int | None, typer.Option(min=1, help="Parallel drills (default: two per CPU core).")] = None,
    without: Annotated[
        list[str] | None, typer.Option(help="A drill that `all` excludes; can be repeated.", metavar="NAME")
    ] = None,
    on_compose: OnCompose = False,
    report: Annotated[Path | None, typer.Option(help="Write the table of all drills to this Markdown file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Run drills: inject a real fault, then require its alert to fire, be delivered and resolve."""
    import json
    from dataclasses import asdict

    from lab.drills.run.errors import DrillError
    from lab.drills.run.table import report as markdown
    from lab.drills.run.table import show, show_all

    known = _drills(on_compose=on_compose)
    excluded = without or []
    if unknown := [name for name in (*names, *excluded) if name not in {*known, "all"}]:
        fail(f"no drill {', '.join(unknown)}; there are {', '.join(known)}, and all")
    chosen = [name for name in known if name not in excluded] if "all" in names else list(dict.fromkeys(names))
    by_name: dict[str, Outcome] = {}

    def on_outcome(outcome: "Outcome") -> None:
        by_name[outcome.drill] = outcome
        if not as_json:
            show(outcome)

    with failing_on(DrillError, code=1):
        run_until_signal(_on_compose(chosen) if on_compose else _embedded(chosen, data_dir, parallel), on_outcome)
    outcomes = [by_name[name] for name in chosen if name in by_name]
    is_complete = len(outcomes) == len(chosen)
    if report is not None and is_complete:
        report.write_text(markdown(outcomes), encoding="utf-8")
    if as_json:
        typer.echo(json.dumps([asdict(outcome) for outcome in outcomes], indent=2))
    elif len(outcomes) > 1:
        show_all(outcomes)
    if not is_complete or any(outcome.failure for outcome in outcomes):
        raise typer.Exit(1)


def _drills(*, on_compose: bool) -> "Mapping[str, BaseDrill]":
    from lab.drills.catalogue import COMPOSE_DRILLS, DRILLS

    return COMPOSE_DRILLS if on_compose else DRILLS


def _on_compose(names: list[str]) -> "Run":
    from lab.drills.catalogue import COMPOSE_DRILLS
    from lab.drills.environments.compose import run_on_compose

    return partial(run_on_compose, [COMPOSE_DRILLS[name] for name in names], log=log_to_stderr)


def _embedded(names: list[str], data_dir: Path, parallel: int | None) -> "Run":
    from lab.arms.databases import DATABASES
    from lab.drills.catalogue import DRILLS
    from lab.drills.environments.embedded import default_parallel, run_embedded

    if not all((data_dir / name).exists() for name in DATABASES):
        with redirect_stdout(sys.stderr):
            data.load(data_dir=data_dir)
    drills = [DRILLS[name] for name in names]
    return partial(run_embedded, drills, data_dir=data_dir, limit=parallel or default_parallel(), log=log_to_stderr)


def run_until_signal(run: "Run", on_outcome: "OnOutcome") -> None:
    """Run drills; Ctrl-C and SIGTERM cancel them, and they then end their faults and processes."""

    async def cancellable() -> None:
        task = asyncio.current_task()
        if task is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        await run(on_outcome)

    try:
        asyncio.run(cancellable())
    except (KeyboardInterrupt, asyncio.CancelledError):
        log_to_stderr("stopped; every fault is ended, and every process of the drill is stopped")


def log_to_stderr(text: str) -> None:
    typer.echo(text, err=True)
