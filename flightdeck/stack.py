"""`flightdeck stack`: the stack that `make up` runs."""

from pathlib import Path
from typing import Annotated, Final

import typer

ROOT: Final = Path(__file__).parents[1]

commands = typer.Typer(no_args_is_help=True, help=__doc__)


@commands.callback()
def stack() -> None:
    """Ask the running stack."""


@commands.command()
def verify(
    host: Annotated[str, typer.Option(help="Where its ports are published.")] = "127.0.0.1",
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for what is still starting.")] = 120.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Ask every server of the stack, follow a request through every signal, and say what is wrong.

    Exits with 1 if anything is wrong, and with 2 if the ports are not known.
    """
    import json
    import os
    from dataclasses import asdict

    from rich.console import Console

    from lab.stack.addresses import Addresses, NoPort, env_file
    from lab.stack.table import print_findings
    from lab.stack.verify import verify as findings_of

    try:
        at = Addresses.of({**env_file(ROOT / ".env"), **os.environ}, host=host)
    except NoPort as error:
        typer.echo(f"flightdeck stack verify: {error}", err=True)
        raise typer.Exit(2) from error
    findings = []
    for finding in findings_of(at, boards=_boards(), wait_s=wait):
        findings.append(finding)
        if not as_json:
            typer.echo(f"{'ok   ' if finding.ok else 'WRONG'} {finding.part} {finding.claim}", err=True)
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        print_findings(findings, Console(highlight=False))
    raise typer.Exit(0 if all(finding.ok for finding in findings) else 1)


def _boards() -> frozenset[str]:
    """Return the uids of the committed dashboards."""
    import json

    paths = [*(ROOT / "grafana/dashboards").glob("*.json"), *(ROOT / "grafana/provisioning/dashboards").glob("*.json")]
    return frozenset(json.loads(path.read_text(encoding="utf-8"))["uid"] for path in paths)
