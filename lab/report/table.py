"""A result as tables on a terminal, and as Markdown."""

from collections.abc import Iterator, Sequence
from typing import Final

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lab.analysis.diff import ResultDiff
from lab.analysis.result import ExperimentResult, LabResult, MetricResult, Part
from lab.report.comparison import comparison_markdown, condition_sentence
from lab.report.formatting import Headline, distance_sentence, effect, interval, quantity, sentence
from lab.report.sweep_table import print_sweep, sweep_markdown

SECTIONS: Final[dict[Part, str]] = {
    "techniques": "Each technique alone",
    "leave_one_out": "Leave-one-out: all techniques against all but one",
    "control": "Negative controls: traffic that the technique should not affect",
}
VERDICT_STYLES: Final = {"helps": "green", "hurts": "red", "no difference seen": "yellow"}


def print_result(result: LabResult, console: Console) -> None:
    for title, experiments in _sections(result):
        console.print(f"[bold]{title}[/bold]: what changed, and at what cost")
        for experiment in experiments.values():
            if experiment.headline in experiment.metrics:
                console.print(f"  {sentence(experiment)}", markup=False, highlight=False)
        console.print(_table(title, experiments))
    for sweep in result.sweeps.values():
        print_sweep(sweep, console)
    print_notes(result, console)


def print_notes(result: LabResult, console: Console) -> None:
    """Print the limits of the effects, and what was not measured."""
    for _, experiment in result.experiments():
        for condition in experiment.conditions:
            style = "red" if condition.outcome == "holds" else "default"
            console.print(condition_sentence(condition), style=style, markup=False, highlight=False)
    if result.distance_s:
        console.print(distance_sentence(result.distance_s, result.environment.servers), style="dim", markup=False)
    notes: dict[str, list[str]] = {}
    for _, experiment in result.experiments():
        for note in experiment.notes:
            notes.setdefault(note, []).append(experiment.name)
    for note, names in notes.items():
        console.print(f"{', '.join(names)}: {note}", style="yellow", markup=False)
    for name, reason in result.skipped.items():
        console.print(f"{name} was not measured: {reason}", style="yellow", markup=False)
    if result.is_interrupted:
        is_empty = not result.sweeps and not any(result.experiments())
        kept = "before anything was measured." if is_empty else "complete rounds are kept."
        console.print(f"Interrupted{' ' if is_empty else ': '}{kept}", style="yellow")


def markdown(result: LabResult) -> str:
    lines = []
    for title, experiments in _sections(result):
        off, on = sides(next(iter(experiments.values())))
        heads = f"| technique | metric | {off} | {on} | effect | interval | verdict |"
        headlines = [f"- {sentence(experiment)}" for experiment in experiments.values()]
        lines += [f"### {title}", "", *headlines, "", heads]
        lines.append("| --- | --- | ---: | ---: | ---: | --- | --- |")
        for experiment in experiments.values():
            for metric in shown_metrics(experiment):
                lines.append(f"| {' | '.join([experiment.title, *_cells(metric)])} |")
        lines.append("")
        for experiment in experiments.values():
            lines += comparison_markdown(experiment)
    for sweep in result.sweeps.values():
        lines += [*sweep_markdown(sweep), ""]
    if result.distance_s:
        lines += [distance_sentence(result.distance_s, result.environment.servers), ""]
    lines.append(f"`{result.command}` on {result.environment.cores} cores, {result.environment.python}")
    return "\n".join(lines) + "\n"


def shown_metrics(experiment: ExperimentResult) -> Iterator[MetricResult]:
    """Yield the headline, then the costs and the metrics with a difference."""
    yield experiment.metrics[experiment.headline]
    for name, metric in experiment.metrics.items():
        if (
            name != experiment.headline
            and "." not in name
            and (metric.verdict != "no difference seen" or name in experiment.costs)
        ):
            yield metric


def print_headlines(result: LabResult, console: Console) -> None:
    """Print one sentence per technique, with its interval below."""
    for experiment in result.techniques.values():
        if experiment.headline in experiment.metrics:
            headline = Headline.of(experiment)
            change = (headline.change, f"bold {VERDICT_STYLES[experiment.verdict]}")
            console.print(
                Text.assemble((f"{headline.title}: ", "bold"), change, f" {headline.noun} ({headline.values})")
            )
            console.print(f"    {headline.interval or 'too few rounds for an interval'}", style="dim", highlight=False)


def print_diffs(diffs: Sequence[ResultDiff], console: Console) -> None:
    table = Table(header_style="dim", box=SIMPLE, padding=(0, 1))
    for column in ("technique", "metric", "earlier", "interval", "later", "interval", "verdict"):
        table.add_column(column)
    for diff in diffs:
        style = "red" if diff.verdict == "changed" else "green"
        table.add_row(
            Text(diff.technique, style="bold"),
            diff.earlier.title,
            *(effect(diff.earlier), interval(diff.earlier), effect(diff.later), interval(diff.later)),
            Text(diff.verdict, style=style),
        )
    console.print(table)


def is_between_services(experiment: ExperimentResult) -> bool:
    """Return whether two running services were compared, instead of techniques."""
    return not (experiment.off.techniques or experiment.on.techniques)


def sides(experiment: ExperimentResult) -> tuple[str, str]:
    """Return the column titles of both arms."""
    return (experiment.off.name, experiment.on.name) if is_between_services(experiment) else ("off", "on")


def _sections(result: LabResult) -> Iterator[tuple[str, dict[str, ExperimentResult]]]:
    for part, title in SECTIONS.items():
        experiments: dict[str, ExperimentResult] = getattr(result, part)
        if experiments:
            first = next(iter(experiments.values()))
            yield (first.question if is_between_services(first) else title), experiments


def _table(title: str, experiments: dict[str, ExperimentResult]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", header_style="dim", box=SIMPLE, padding=(0, 1))
    for column in ("technique", "metric"):
        table.add_column(column)
    for column in (*sides(next(iter(experiments.values()))), "effect"):
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
