"""A result as tables on a terminal, and as Markdown for a pull request."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lab.analysis.diff import ResultDiff
from lab.analysis.result import ExperimentResult, LabResult, MetricResult
from lab.report.formatting import effect, interval, quantity
from lab.report.live import VERDICT_STYLES
from lab.report.sweep_table import print_sweep, sweep_markdown

SECTIONS: Final = {
    "techniques": "Each technique alone",
    "leave_one_out": "Each technique left out of everything",
    "control": "Where it should make no difference",
}


def print_result(result: LabResult, console: Console) -> None:
    """Print the effects, then what has to be known to believe them."""
    for section, title in SECTIONS.items():
        experiments: dict[str, ExperimentResult] = getattr(result, section)
        if experiments:
            console.print(_table(_title_of(title, experiments), experiments))
    for sweep in result.sweeps.values():
        print_sweep(sweep, console)
    print_notes(result, console)


def print_notes(result: LabResult, console: Console) -> None:
    """Print what has to be known to believe the effects."""
    notes: dict[str, list[str]] = {}
    for section in SECTIONS:
        for name, experiment in getattr(result, section).items():
            for note in experiment.notes:
                notes.setdefault(note, []).append(name)
    for note, names in notes.items():
        console.print(f"{', '.join(names)}: {note}", style="yellow", markup=False)
    for name, reason in result.skipped.items():
        console.print(f"{name} was not measured: {reason}", style="yellow", markup=False)
    if result.is_interrupted:
        is_empty = not result.sweeps and not any(getattr(result, section) for section in SECTIONS)
        kept = "before anything was measured." if is_empty else "what was measured until then is kept."
        console.print(f"Interrupted{' ' if is_empty else ': '}{kept}", style="yellow")


def markdown(result: LabResult) -> str:
    """Return the effects as Markdown."""
    lines = []
    for section, title in SECTIONS.items():
        experiments: dict[str, ExperimentResult] = getattr(result, section)
        if not experiments:
            continue
        off, on = _sides(experiments)
        heads = f"| technique | metric | {off} | {on} | effect | interval | verdict |"
        lines += [f"### {_title_of(title, experiments)}", "", heads]
        lines.append("| --- | --- | ---: | ---: | ---: | --- | --- |")
        for experiment in experiments.values():
            for metric in shown_metrics(experiment):
                lines.append(f"| {' | '.join([experiment.title, *_cells(metric)])} |")
        lines.append("")
    for sweep in result.sweeps.values():
        lines += [*sweep_markdown(sweep), ""]
    lines.append(f"`{result.command}` on {result.environment.cores} cores, {result.environment.python}")
    return "\n".join(lines) + "\n"


def shown_metrics(experiment: ExperimentResult) -> Iterator[MetricResult]:
    """Return the headline, then the metrics with a clear difference, then the costs."""
    yield experiment.metrics[experiment.headline]
    for name, metric in experiment.metrics.items():
        if (
            name != experiment.headline
            and "." not in name
            and (metric.verdict != "no difference seen" or name in experiment.costs)
        ):
            yield metric


def print_headlines(result: LabResult, console: Console) -> None:
    """Print one line for every technique: what it buys and what it costs."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for experiment in result.techniques.values():
        headline = experiment.metrics.get(experiment.headline)
        if headline is None:
            continue
        claim = f"{headline.title} {quantity(headline.off, headline.unit)} → {quantity(headline.on, headline.unit)}"
        table.add_row(
            Text(experiment.name, style="bold"),
            Text(effect(headline), style=f"bold {VERDICT_STYLES[experiment.verdict]}"),
            claim,
            Text(f"{headline.confidence * 100:g} % interval {interval(headline)}", style="dim"),
        )
    console.print(table)


def print_diffs(diffs: Sequence[ResultDiff], console: Console) -> None:
    """Print how the effects of two runs differ."""
    table = Table(header_style="dim", box=SIMPLE, padding=(0, 1))
    for column in ("technique", "metric", "earlier", "interval", "later", "interval", "verdict"):
        table.add_column(column)
    for drift in diffs:
        style = "red" if drift.verdict == "changed" else "green"
        table.add_row(
            Text(drift.technique, style="bold"),
            drift.earlier.title,
            *(effect(drift.earlier), interval(drift.earlier), effect(drift.later), interval(drift.later)),
            Text(drift.verdict, style=style),
        )
    console.print(table)


def is_between_services(experiment: ExperimentResult) -> bool:
    """Return whether two services were compared that the lab knows nothing of, and no technique."""
    return not (experiment.off.techniques or experiment.on.techniques)


def _sides(experiments: Mapping[str, ExperimentResult]) -> tuple[str, str]:
    """Return what the columns of the two sides are called."""
    one, *_ = experiments.values()
    return (one.off.name, one.on.name) if is_between_services(one) else ("off", "on")


def _title_of(title: str, experiments: Mapping[str, ExperimentResult]) -> str:
    one, *_ = experiments.values()
    return one.question if is_between_services(one) else title


def _table(title: str, experiments: dict[str, ExperimentResult]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", header_style="dim", box=SIMPLE, padding=(0, 1))
    for column in ("technique", "metric"):
        table.add_column(column)
    for column in (*_sides(experiments), "effect"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("interval")
    table.add_column("verdict")
    for experiment in experiments.values():
        for position, metric in enumerate(shown_metrics(experiment)):
            *cells, verdict = _cells(metric)
            name = Text(experiment.name if position == 0 else "", style="bold")
            table.add_row(name, *cells, Text(verdict, style=VERDICT_STYLES[metric.verdict]))
        table.add_section()
    return table


def _cells(metric: MetricResult) -> list[str]:
    return [
        metric.title,
        quantity(metric.off, metric.unit),
        quantity(metric.on, metric.unit),
        effect(metric),
        interval(metric),
        metric.verdict,
    ]
