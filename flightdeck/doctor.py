import json
from dataclasses import asdict
from typing import Annotated

import typer

from flightdeck.exits import failing_on
from flightdeck.options import AsJson, finite


def doctor(
    target: Annotated[str, typer.Argument(help="The URL of a running service, or `module:application`.")],
    metrics_url: Annotated[
        str | None, typer.Option(help="URL of its metrics, if they are neither on port 9464 nor at /metrics.")
    ] = None,
    slo: Annotated[
        list[float], typer.Option(min=0, callback=finite, help="A latency objective, in seconds; can be repeated.")
    ] = [  # noqa: B006 Typer reads the default
        0.25
    ],
    as_json: AsJson = False,
) -> None:
    """Check a service's telemetry: print each problem and its fix; exit with 1 if there is any.

    A running service gets a few harmless requests. An application is imported, served on loopback with its lifespan,
    and is then also inspected in-process.
    """
    from rich.console import Console

    from observability.doctor import NotAnApplication, Unreachable, run_checks

    with failing_on(NotAnApplication, Unreachable):
        findings = run_checks(target, metrics_url=metrics_url, slo_thresholds_s=slo)
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        console = Console(highlight=False, soft_wrap=True)
        for finding in findings:
            console.print(f"[bold red]✗ {finding.check}[/]  {finding.message}", markup=True)
            console.print(f"  [green]→[/] {finding.fix}\n")
        console.print(f"{len(findings)} findings" if findings else "[bold green]✓[/] no problems found")
    raise typer.Exit(1 if findings else 0)
