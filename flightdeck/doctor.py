"""`flightdeck doctor`: examine the telemetry of any service."""

import json
from dataclasses import asdict
from typing import Annotated

import typer


def doctor(
    target: Annotated[str, typer.Argument(help="The URL of a running service, or `module:application`.")],
    metrics_url: Annotated[
        str | None, typer.Option(help="Where its metrics are, if neither on port 9464 nor at /metrics.")
    ] = None,
    slo: Annotated[list[float], typer.Option(help="A latency objective in seconds; may be given several times.")] = [  # noqa: B006 Typer reads the default
        0.25
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Examine a service's telemetry: print what is wrong and what to do; exit with 1 if anything is.

    A running service gets a few harmless requests. An application is imported and served on loopback, which runs its
    lifespan; then it is looked into as well.
    """
    from rich.console import Console

    from observability.doctor import NotAnApplication, Unreachable, run_checks

    try:
        findings = run_checks(target, metrics_url=metrics_url, slo_thresholds_s=slo)
    except (NotAnApplication, Unreachable) as error:
        typer.echo(f"flightdeck doctor: {error}", err=True)
        raise typer.Exit(2) from error
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        console = Console(highlight=False, soft_wrap=True)
        for finding in findings:
            console.print(f"[bold red]✗ {finding.check}[/]  {finding.message}", markup=True)
            console.print(f"  [green]→[/] {finding.fix}\n")
        console.print(f"{len(findings)} findings" if findings else "[bold green]✓[/] nothing found")
    raise typer.Exit(1 if findings else 0)
