"""`flightdeck lab compare`: any two running services."""

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from flightdeck import results
from flightdeck.exits import exit_unless_measured, failing_on
from flightdeck.options import AsJson, BudgetS, Quick, ReportPath, Seed, command_line, finite


def compare(  # noqa: PLR0913, PLR0917 the options of a command
    url_a: Annotated[str, typer.Argument(help="The service to compare with, as http://host:port.")],
    url_b: Annotated[str, typer.Argument(help="The service that may be better.")],
    request: Annotated[
        list[str] | None, typer.Option("--request", help="Request to send to both, as 'GET /path'; may be repeated.")
    ] = None,
    requests: Annotated[
        Path | None, typer.Option(help="Requests to send, as a .toml or .har file (docs/compare.md).")
    ] = None,
    openapi: Annotated[
        str, typer.Option(help="OpenAPI document, file or URL: its GET operations with examples are sent.")
    ] = "",
    access_log: Annotated[
        Path | None, typer.Option(help="Access log in the common or combined format: its GET requests are sent.")
    ] = None,
    headers: Annotated[
        list[str] | None,
        typer.Option("--header", help="Header of every request; secrets as 'Authorization: Bearer ${VARIABLE}'."),
    ] = None,
    allow_writes: Annotated[
        bool, typer.Option("--allow-writes", help="Also send methods other than GET and HEAD.")
    ] = False,
    ca: Annotated[
        Path | None, typer.Option(help="File with the certificate authorities to trust, in PEM format.")
    ] = None,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            help="Exit with 3 if B is this many times A, as 'p95_s > 1.05', and its whole interval is; may be repeated."
        ),
    ] = None,
    metrics_a: Annotated[str, typer.Option(help="URL of the first service's Prometheus metrics.")] = "",
    metrics_b: Annotated[str, typer.Option(help="URL of the second service's Prometheus metrics.")] = "",
    rate: Annotated[
        float,
        typer.Option(
            min=0,
            callback=finite,
            help="Requests per second (default: half of the slower service's capacity).",
        ),
    ] = 0.0,
    generators: Annotated[
        int,
        typer.Option(
            min=0,
            help="Wait for this many `flightdeck lab generator` on other machines, and share the load among them "
            "(0: this machine).",
        ),
    ] = 0,
    generators_at: Annotated[
        str, typer.Option(help="Address where the generators find this command, as HOST:PORT.")
    ] = "127.0.0.1:5557",
    quick: Quick = False,
    as_json: AsJson = False,
    seed: Seed = 1,
    budget_s: BudgetS = None,
    report: ReportPath = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Write the result as Markdown to this file, for a pull request.")
    ] = None,
) -> None:
    """Compare two running services over HTTP: the same requests to both alternately, with confidence intervals."""
    from rich.console import Console

    from lab.analysis.condition import Condition
    from lab.compare import RemoteService
    from lab.compare import compare as compare_services
    from lab.core.errors import LabError
    from lab.core.servers import Servers
    from lab.load.generator import LOCAL
    from lab.load.sharing import on_workers
    from lab.measure.plan import experiment_plan
    from lab.report.live import live_progress
    from lab.report.table import markdown as as_markdown
    from lab.run import RunOptions
    from lab.workload.source import checked, selected

    plan = experiment_plan(quick=quick, seed=seed, budget_s=budget_s, rate_per_s=rate)
    authorities = str(ca) if ca is not None else ""
    first = RemoteService(name="A", url=url_a, metrics_url=metrics_a, ca=authorities)
    second = RemoteService(name="B", url=url_b, metrics_url=metrics_b, ca=authorities)
    with failing_on(LabError):
        module = on_workers("master", generators_at, str(generators)) if generators else LOCAL
        options = RunOptions(data_dir=Path(), command=command_line(), plan=plan, servers=Servers({}), generator=module)
        source = selected(requests=request or [], file=requests, openapi=openapi, access_log=access_log)
        workload = checked(source.workload, headers or [], os.environ, allow_writes=allow_writes)
        conditions = [Condition.parsed(text, workload.kinds) for text in fail_if or []]
        for note in source.notes:
            typer.echo(note, err=True)
        with live_progress(Console(stderr=True)) as progress:
            if generators:
                progress.say(f"waiting at {generators_at} for {generators} of: flightdeck lab generator HOST:PORT")
            result = asyncio.run(compare_services(first, second, workload, options, progress, conditions=conditions))
    if markdown is not None:
        markdown.write_text(as_markdown(result), encoding="utf-8")
    results.show(result, as_json=as_json, report=report)
    exit_unless_measured(is_interrupted=result.is_interrupted, is_empty=not result.techniques)
    for found in result.techniques.values():
        if not found.is_valid:
            raise typer.Exit(1)
        if any(condition.outcome == "holds" for condition in found.conditions):
            raise typer.Exit(3)


def generator(
    master: Annotated[str, typer.Argument(help="Address of `lab compare --generators`, as HOST:PORT.")],
) -> None:
    """Generate a share of the load of `lab compare --generators`, until that ends."""
    from lab.core.command import MODULE
    from lab.core.errors import LabError
    from lab.load.sharing import on_workers

    with failing_on(LabError):
        command = [*MODULE, *on_workers("worker", master)]
    os.execv(command[0], command)  # noqa: S606 Locust patches the modules of its process, which has to be another
