"""The `flightdeck` command: one module per group of commands."""

import typer

from flightdeck import data, lab, serve, upstream

app = typer.Typer(no_args_is_help=True, pretty_exceptions_show_locals=False, help=__doc__)
app.add_typer(data.commands, name="data")
app.add_typer(lab.commands, name="lab")
app.command()(serve.serve)
app.command()(upstream.upstream)


def main() -> None:
    """Run the command line."""
    app()
