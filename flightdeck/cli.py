"""The `flightdeck` command: one module per group of commands."""

import typer

app = typer.Typer(no_args_is_help=True, pretty_exceptions_show_locals=False, help=__doc__)


def main() -> None:
    """Run the command line."""
    app()
