import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flightdeck.exits import fail, failing_on
from flightdeck.options import AsJson, Seed

if TYPE_CHECKING:
    from lab.advice.window import Window


def advise(  # noqa: PLR0913, PLR0917 the options of a command
    metrics_url: Annotated[str, typer.Argument(help="The service's metrics, such as http://host:9464/metrics.")] = "",
    for_: Annotated[
        str, typer.Option("--for", help="How long to observe the metrics, such as 90s, 10m or 2h.")
    ] = "10m",
    prometheus: Annotated[str, typer.Option(help="URL of a Prometheus that scrapes the service, instead.")] = "",
    window: Annotated[str, typer.Option(help="How far back to read from Prometheus, such as 24h.")] = "24h",
    job: Annotated[str, typer.Option(help="Prometheus job of the service.")] = "",
    as_json: AsJson = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown, and nothing else.")] = False,
    report: Annotated[Path | None, typer.Option("--report", help="Write an HTML report to this file.")] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of the advice.")] = False,
    seed: Seed = 1,
) -> None:
    """Predict what each technique would buy in a service, from its what-if metrics.

    The service needs `instrument(app, whatif=True)` or OBSERVABILITY_WHATIF=1.
    """
    import json

    from rich.console import Console

    from lab.advice.advise import advise as predict
    from lab.advice.report import write
    from lab.advice.result import Advice
    from lab.advice.table import markdown, print_advice
    from lab.core.errors import LabError

    if schema:
        typer.echo(json.dumps(Advice.model_json_schema(), indent=2))
        return
    if bool(metrics_url) == bool(prometheus):
        fail("give either the URL of the service's metrics or --prometheus")
    with failing_on(LabError):
        observed = _read_prometheus(prometheus, window, job) if prometheus else _read_metrics(metrics_url, for_)
    advice = predict(observed, source=prometheus or metrics_url, seed=seed)
    if report is not None:
        typer.echo(f"report: {write(advice, report).resolve()}", err=True)
    if as_json:
        typer.echo(advice.model_dump_json(indent=2))
    elif as_markdown:
        typer.echo(markdown(advice), nl=False)
    else:
        print_advice(advice, Console())


def _read_metrics(url: str, for_: str) -> "Window":
    from rich.console import Console

    from lab.advice.source import scraped
    from lab.core.duration import duration_s

    seconds = duration_s(for_, option="--for")
    with Console(stderr=True).status("observing") as status:
        return asyncio.run(scraped(url, seconds=seconds, progress=status.update))


def _read_prometheus(url: str, window: str, job: str) -> "Window":
    from time import time

    import httpx

    from lab.advice.source import queried
    from lab.core.duration import duration_s

    async def read() -> "Window":
        async with httpx.AsyncClient(timeout=60.0) as client:
            return await queried(url, seconds=duration_s(window, option="--window"), job=job, now=time(), client=client)

    return asyncio.run(read())
