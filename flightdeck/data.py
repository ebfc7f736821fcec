"""Load the flights of 2013, migrate the tables, and show what is loaded."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flightdeck.exits import failing_on
from flightdeck.options import AsJson, OptionalDataDir

if TYPE_CHECKING:
    from service.dataset.target import State, Target

commands = typer.Typer(no_args_is_help=True, help=__doc__)

DatabaseUrl = Annotated[str | None, typer.Option(help="URL of another database (default: DATABASE_URL).")]


@commands.command()
def load(
    data_dir: OptionalDataDir = None,
    database_url: DatabaseUrl = None,
    force: Annotated[
        bool, typer.Option("--force", help="Rebuild the databases, and discard the changes made to them.")
    ] = False,
) -> None:
    """Load the flights of 2013; does nothing if they are already loaded and verified."""
    from flightdeck.load_progress import shown_on
    from service.dataset.errors import DatasetError
    from service.dataset.source import Source

    databases = _target(data_dir, database_url)
    with failing_on(DatasetError, code=1):
        source = Source()
        with shown_on(sys.stderr) as progress:
            made = databases.load(source, progress, force=force)
        names = " and ".join(state.name for state in databases.states())
    flights = source.manifest.facts["flights"]
    typer.echo(f"{flights:,} flights {'loaded into' if made else 'already loaded and verified in'} {names}")


@commands.command()
def migrate(database_url: DatabaseUrl = None) -> None:
    """Migrate a PostgreSQL database and its twin to the schema of this version; rows are kept."""
    from service.dataset.errors import DatasetError

    with failing_on(DatasetError, code=1):
        _target(None, database_url).migrate()
    typer.echo("Schema is up to date.")


@commands.command()
def status(data_dir: OptionalDataDir = None, database_url: DatabaseUrl = None, as_json: AsJson = False) -> None:
    """Show what is loaded; exit with 1 unless both databases hold this version of the data."""
    from service.dataset.errors import DatasetError
    from service.dataset.source import FILES, Manifest

    databases = _target(data_dir, database_url)
    with failing_on(DatasetError, code=1):
        wanted = Manifest.read(FILES).digest
        states = databases.states()
    current = {state.name: state.digest == wanted and state.schema_is_current for state in states}
    if as_json:
        rows = [dataclasses.asdict(state) | {"is_current": current[state.name]} for state in states]
        typer.echo(json.dumps(rows, indent=2))
    else:
        for state in states:
            typer.echo(f"{state.name}: {_description(state, is_current=current[state.name])}")
    if not all(current.values()):
        raise typer.Exit(1)


def _description(state: "State", *, is_current: bool) -> str:
    if state.digest is None:
        return "nothing is loaded; `flightdeck data load` loads the flights"
    version = "loaded" if is_current else "another version, loaded"
    return (
        f"{version} {state.loaded_at} UTC, {state.size_bytes / 1e6:.0f} MB, {state.status_changes} status updates since"
    )


def _target(data_dir: Path | None, database_url: str | None) -> "Target":
    from service.core.database_url import embedded_path, is_embedded, parsed
    from service.dataset.embedded import SqliteTarget
    from service.dataset.server import PostgresTarget
    from service.settings import ConfigurationError, Settings

    overrides: dict[str, object] = {}
    if data_dir is not None:
        # An explicit directory wins over DATABASE_URL in the environment.
        overrides |= {"data_dir": data_dir, "database_url": "", "database_unindexed_url": ""}
    if database_url is not None:
        overrides |= {"database_url": database_url, "database_unindexed_url": ""}
    with failing_on(ConfigurationError):
        settings = Settings.from_environ(**overrides)
    indexed, unindexed = parsed(settings.database_url), parsed(settings.database_unindexed_url)
    if is_embedded(indexed):
        return SqliteTarget(indexed=embedded_path(indexed), unindexed=embedded_path(unindexed))
    return PostgresTarget(indexed=indexed, unindexed=unindexed)
