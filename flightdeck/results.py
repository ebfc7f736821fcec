"""Results of the lab: printed, reported, compared, served as metrics."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flightdeck.exits import fail, failing_on

if TYPE_CHECKING:
    from lab.analysis.environment import Environment
    from lab.analysis.result import LabResult
    from lab.report.observers import RunObserver


def write_reports(
    results: Annotated[list[Path], typer.Argument(help="Results as JSON, from `lab run --json` or beside a report.")],
    compare_runs: Annotated[
        bool, typer.Option("--compare", help="Compare two results: the earlier, then the later.")
    ] = False,
    report: Annotated[Path | None, typer.Option(help="Write an HTML report to this file.")] = None,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown, for a pull request.")] = False,
    metrics_file: Annotated[
        Path | None,
        typer.Option(help="Write the Prometheus metrics of the result to this text file, and nothing else."),
    ] = None,
) -> None:
    """Report a result, or compare two results; exit with 1 if an effect changed."""
    from rich.console import Console

    from lab.analysis.diff import read, result_diffs
    from lab.core.errors import LabError
    from lab.report.table import markdown, print_diffs

    if len(results) != (2 if compare_runs else 1):
        fail("give one result, or with --compare two: the earlier and the later")
    with failing_on(LabError):
        read_results = [read(path) for path in results]
    if compare_runs:
        diffs = result_diffs(*read_results)
        print_diffs(diffs, Console())
        raise typer.Exit(1 if any(diff.verdict == "changed" for diff in diffs) else 0)
    if metrics_file is not None:
        write_metrics(read_results[0], metrics_file)
    elif as_markdown:
        typer.echo(markdown(read_results[0]), nl=False)
    else:
        show(read_results[0], as_json=False, report=report)


def show(result: "LabResult", *, as_json: bool, report: Path | None) -> None:
    """Print the result, and write a report if a path is given."""
    from rich.console import Console

    from lab.report.table import print_result

    if report is not None:
        write_report(result, report)
    if as_json:
        typer.echo(result.model_dump_json(indent=2))
    else:
        print_result(result, Console())


def write_report(result: "LabResult", path: Path) -> None:
    """Write the report and print its path; without measurements, print that there is none."""
    from lab.report.report import write

    if not (any(result.experiments()) or result.sweeps):
        typer.echo(f"nothing was measured, so there is no report at {path}", err=True)
        return
    try:
        typer.echo(f"report: {write(result, path).resolve()}", err=True)
    except KeyboardInterrupt:
        kept = path.with_suffix(".json")
        fail(f"interrupted while drawing; for the report: flightdeck lab report {kept} --report {path}", code=130)


def write_metrics(result: "LabResult", path: Path) -> None:
    """Write the metrics of the result as `lab run --metrics-file` does."""
    from lab.report.prometheus import ResultCollector

    try:
        ResultCollector.of(result, finished_at=result.finished_at_s).write(path)
    except OSError as error:
        fail(f"cannot write {path}: {error.strerror}")


def serve(
    result: Annotated[Path, typer.Argument(help="A result as JSON.")],
    port: Annotated[int, typer.Option(min=1, max=65535, help="Local port.")] = 9475,
) -> None:
    """Serve a result as Prometheus metrics until Ctrl-C."""
    from threading import Event

    from lab.analysis.diff import read
    from lab.core.errors import LabError
    from lab.report.prometheus import ResultCollector

    try:
        with failing_on(LabError):
            found = read(result)
            collector = ResultCollector.of(found, finished_at=found.finished_at_s)
            with collector.served(port):
                typer.echo(f"http://127.0.0.1:{port}/metrics", err=True)
                Event().wait()
    except KeyboardInterrupt:
        typer.echo("stopped", err=True)


def schema() -> None:
    """Print the JSON schema of results."""
    import json

    from lab.analysis.result import LabResult

    typer.echo(json.dumps(LabResult.model_json_schema(), indent=2))


@contextmanager
def observer(
    port: int, path: Path | None, *, machine: "Environment", say: Callable[[str], None]
) -> "Iterator[RunObserver]":
    """Yield the observers of a run: headlines, Prometheus metrics, and annotations if `GRAFANA_URL` is set."""
    import os
    from time import time

    from lab.report.annotations import Annotations, Grafana
    from lab.report.live import HeadlineObserver
    from lab.report.observers import CompositeObserver
    from lab.report.prometheus import ResultCollector

    collector = ResultCollector(clock=time, path=path, say=say, machine=machine)
    grafana = Grafana.from_environ(os.environ)
    annotations = [Annotations(grafana, clock=time, say=say)] if grafana is not None else []
    with collector.served(port):
        yield CompositeObserver([HeadlineObserver(say), collector, *annotations])
