import json
from collections import Counter
from dataclasses import asdict
from typing import Annotated

import typer

from flightdeck.exits import fail, failing_on
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
    """Check a service's telemetry: print the result of each check, each problem and its fix.

    Exits with 0 if all checks passed, with 1 if one failed, else with 2 if one could not look. A running service gets a
    few harmless requests. An application is imported, served on loopback with its lifespan, and is then also inspected
    in-process.
    """
    from rich.console import Console
    from rich.markup import escape

    from observability.doctor import NotAnApplication, Unreachable, exit_code, run_checks

    if not all(objective > 0 for objective in slo):
        fail("--slo: an objective is a positive number of seconds")
    with failing_on(NotAnApplication, Unreachable):
        results = run_checks(target, metrics_url=metrics_url, slo_thresholds_s=slo)
    if as_json:
        typer.echo(json.dumps([asdict(result) for result in results], indent=2))
        raise typer.Exit(exit_code(results))
    console = Console(highlight=False, soft_wrap=True)
    for result in results:
        if result.status == "passed":
            console.print(f"[bold green]✓ {result.check}[/]  passed")
        for message in result.messages:
            console.print(f"[bold red]✗ {result.check}[/]  failed: {escape(message)}")
            console.print(f"  [green]→[/] {escape(result.fix)}")
        if result.reason:
            console.print(f"[bold yellow]? {result.check}[/]  could not look: {escape(result.reason)}")
    counts = Counter(result.status for result in results)
    console.print(", ".join(f"{counts[status]} {status}" for status in ("passed", "failed", "could not look")))
    raise typer.Exit(exit_code(results))
