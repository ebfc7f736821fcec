"""Check the running compose stack."""

import json
import os
from dataclasses import asdict
from typing import Annotated

import typer

from flightdeck import ROOT
from flightdeck.exits import failing_on
from flightdeck.options import AsJson, finite

commands = typer.Typer(no_args_is_help=True, help=__doc__)


@commands.callback()
def stack() -> None:
    """Check the running compose stack."""


@commands.command()
def verify(
    host: Annotated[str, typer.Option(help="Host on which the ports are published.")] = "127.0.0.1",
    wait: Annotated[
        float, typer.Option(min=0, callback=finite, help="Seconds to wait for servers that are starting.")
    ] = 120.0,
    as_json: AsJson = False,
) -> None:
    """Check that every server responds and that a request is found in every signal.

    Exits with 1 if a check fails, and with 2 if a port is not set or an address is invalid.
    """
    from rich.console import Console

    from lab.core.errors import BadTarget
    from lab.stack.addresses import Addresses, MissingPort, env_file
    from lab.stack.verify import print_results
    from lab.stack.verify import verify as run_checks

    with failing_on(MissingPort, BadTarget):
        addresses = Addresses.of({**env_file(ROOT / ".env"), **os.environ}, host=host)
    results = []
    for result in run_checks(addresses, dashboards=_dashboard_uids(), wait_s=wait):
        results.append(result)
        if not as_json:
            typer.echo(f"{'passed' if result.ok else 'failed'} {result.service} {result.description}", err=True)
    if as_json:
        typer.echo(json.dumps([asdict(result) for result in results], indent=2))
    else:
        print_results(results, Console(highlight=False))
    raise typer.Exit(0 if all(result.ok for result in results) else 1)


def _dashboard_uids() -> frozenset[str]:
    paths = [*(ROOT / "grafana/dashboards").glob("*.json"), *(ROOT / "grafana/provisioning/dashboards").glob("*.json")]
    return frozenset(json.loads(path.read_text(encoding="utf-8"))["uid"] for path in paths)
