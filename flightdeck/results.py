"""What becomes of results: printed, reported, compared, scraped."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lab.analysis.result import LabResult
    from lab.report.observers import RunObserver


def write_reports(
    results: Annotated[list[Path], typer.Argument(help="Results as JSON, as `lab run --json` and reports leave them.")],
    compare_runs: Annotated[
        bool, typer.Option("--compare", help="Say what changed from the first result to the second.")
    ] = False,
    html: Annotated[Path | None, typer.Option(help="Where to write the HTML report of a result.")] = None,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown, for a pull request.")] = False,
) -> None:
    """Make a report of a result, or compare two results; exit with 1 where an effect changed."""
    from rich.console import Console

    from lab.analysis.diff import read, result_diffs
    from lab.core.errors import LabError
    from lab.report.table import markdown, print_diffs

    if len(results) != (2 if compare_runs else 1):
        typer.echo("give one result, or with --compare two: the earlier and the later", err=True)
        raise typer.Exit(2)
    try:
        read_results = [read(path) for path in results]
    except LabError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    if compare_runs:
        diffs = result_diffs(*read_results)
        print_diffs(diffs, Console())
        raise typer.Exit(1 if any(each.verdict == "changed" for each in diffs) else 0)
    if as_markdown:
        typer.echo(markdown(read_results[0]), nl=False)
    else:
        show(read_results[0], as_json=False, report=html)


def show(result: "LabResult", *, as_json: bool, report: Path | None) -> None:
    """Print the result, and write the report where one is wanted."""
    from rich.console import Console

    from lab.report.table import print_result

    if report is not None:
        write_report(result, report)
    if as_json:
        typer.echo(result.model_dump_json(indent=2))
    else:
        print_result(result, Console())


def write_report(result: "LabResult", path: Path) -> None:
    """Write the report of what was measured, if anything was, and say where it is."""
    from lab.report.report import write

    if not (result.techniques or result.leave_one_out or result.control or result.sweeps):
        typer.echo(f"nothing was measured, so there is no report at {path}", err=True)
        return
    try:
        typer.echo(f"report: {write(result, path).resolve()}", err=True)
    except KeyboardInterrupt:
        kept = path.with_suffix(".json")
        typer.echo(f"interrupted while drawing; for the report: flightdeck lab report {kept} --html {path}", err=True)
        raise typer.Exit(130) from None


def serve(
    result: Annotated[Path, typer.Argument(help="A result as JSON.")],
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of 127.0.0.1.")] = 9475,
) -> None:
    """Serve a result as Prometheus metrics until Ctrl-C."""
    from threading import Event

    from lab.analysis.diff import read
    from lab.core.errors import LabError
    from lab.report.prometheus import ResultCollector

    try:
        collector = ResultCollector.of(read(result), finished_at=result.stat().st_mtime)
        with collector.served(port):
            typer.echo(f"http://127.0.0.1:{port}/metrics", err=True)
            Event().wait()
    except LabError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    except KeyboardInterrupt:
        typer.echo("stopped", err=True)


def schema() -> None:
    """Print the JSON schema of results."""
    import json

    from lab.analysis.result import LabResult

    typer.echo(json.dumps(LabResult.model_json_schema(), indent=2))


@contextmanager
def observer(port: int, path: Path | None, *, say: Callable[[str], None]) -> "Iterator[RunObserver]":
    """Give whoever is told of a run: those who scrape it, and Grafana where the environment names one."""
    import os
    from time import time

    from lab.report.annotations import Annotations, Grafana
    from lab.report.observers import CompositeObserver
    from lab.report.prometheus import ResultCollector

    collector = ResultCollector(clock=time, path=path, say=say)
    grafana = Grafana.from_environ(os.environ)
    annotations = [Annotations(grafana, clock=time, say=say)] if grafana is not None else []
    with collector.served(port):
        yield CompositeObserver([collector, *annotations])
