"""The embedded databases, as commands that read them ask for them."""

from pathlib import Path
from typing import Annotated

import typer

DataDir = Annotated[
    Path, typer.Option(envvar="DATA_DIR", help="Where the embedded databases are; `flightdeck data load` makes them.")
]


def require_data(data_dir: Path) -> None:
    """End with what to do where the databases are missing."""
    if not (data_dir / "flightdeck.db").exists():
        typer.echo(f"no flights in {data_dir}; `flightdeck data load` loads them", err=True)
        raise typer.Exit(2)
