"""`flightdeck data`: load the flights of 2013 and say what is loaded."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from service.dataset.state import State, Target

commands = typer.Typer(no_args_is_help=True, help=__doc__)

DataDir = Annotated[
    Path | None, typer.Option(help="Where the embedded databases are; by default DATA_DIR, or .flightdeck.")
]
DatabaseUrl = Annotated[str | None, typer.Option(help="URL of another database; by default DATABASE_URL.")]


@commands.command()
def load(
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    force: Annotated[bool, typer.Option("--force", help="Make the databases again, without their changes.")] = False,
) -> None:
    """Load the flights of 2013; nothing to do if they are loaded and intact."""
    from flightdeck.load_progress import shown_on
    from service.dataset.errors import DatasetError
    from service.dataset.source import Source

    databases = _target(data_dir, database_url)
    try:
        source = Source()
        with shown_on(sys.stderr) as progress:
            made = databases.load(source, progress, force=force)
        names = " and ".join(state.name for state in databases.states())
    except DatasetError as error:
        _fail(str(error), code=1)
    flights = source.manifest.facts["flights"]
    typer.echo(f"{flights:,} flights {'loaded into' if made else 'were already loaded, and are intact, in'} {names}")


@commands.command()
def migrate(database_url: DatabaseUrl = None) -> None:
    """Bring the tables of a PostgreSQL database and its twin to this version; rows stay."""
    from service.dataset.errors import DatasetError

    try:
        _target(None, database_url).migrate()
    except DatasetError as error:
        _fail(str(error), code=1)
    typer.echo("the tables are those of this version")


@commands.command()
def status(
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what is loaded; exit with 1 unless both databases hold this version of the data."""
    from service.dataset.errors import DatasetError
    from service.dataset.manifest import FILES, Manifest

    databases = _target(data_dir, database_url)
    try:
        wanted = Manifest.read(FILES).digest
        states = databases.states()
    except DatasetError as error:
        _fail(str(error), code=1)
    current = {state.name: state.digest == wanted and state.schema_is_current for state in states}
    if as_json:
        rows = [dataclasses.asdict(state) | {"is_current": current[state.name]} for state in states]
        typer.echo(json.dumps(rows, indent=2))
    else:
        for state in states:
            typer.echo(f"{state.name}: {_described(state, is_current=current[state.name])}")
    if not all(current.values()):
        raise typer.Exit(1)


def _described(state: "State", *, is_current: bool) -> str:
    if state.digest is None:
        return "nothing is loaded; `flightdeck data load` loads the flights"
    version = "loaded" if is_current else "another version, loaded"
    return (
        f"{version} {state.loaded_at} UTC, {state.size_bytes / 1e6:.0f} MB, {state.status_changes} status updates since"
    )


def _target(data_dir: Path | None, database_url: str | None) -> "Target":
    from service.dataset.targets import target
    from service.settings import ConfigurationError, Settings

    instead: dict[str, object] = {}
    if data_dir is not None:
        # The directory was asked for: DATABASE_URL in the environment must not send the load elsewhere.
        instead |= {"data_dir": data_dir, "database_url": "", "database_unindexed_url": ""}
    if database_url is not None:
        instead |= {"database_url": database_url, "database_unindexed_url": ""}
    try:
        return target(Settings.from_environ(**instead))
    except ConfigurationError as error:
        _fail(str(error), code=2)


def _fail(message: str, *, code: int) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(code)
