"""The outcomes of a calibration as a table on a terminal, and as Markdown."""

from collections.abc import Iterator, Sequence
from typing import Final

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lab.advice import table as advice_table
from lab.calibration.result import Calibration, NotCalibrated, Outcome, calibrations, not_calibrated, summary
from lab.report import formatting

HEADS: Final = ("technique", "metric", "predicted", "interval", "measured", "interval", "verdicts", "effect")


def print_outcomes(outcomes: Sequence[Outcome], console: Console) -> None:
    """Print the comparisons as a table that fits 80 columns, and why the others are missing."""
    shown = Table(header_style="dim", box=SIMPLE, padding=(0, 1))
    for column in ("technique", "predicted", "measured", "effect"):
        shown.add_column(column)
    for one in calibrations(outcomes):
        technique, _, predicted, around, measured, within, _, effect = cells(one)
        style = "green" if one.effect_is_right else "yellow"
        shown.add_row(technique, f"{predicted}, {around}", f"{measured}, {within}", Text(effect, style=style))
    if shown.row_count:
        console.print(shown)
    for line in misses(outcomes):
        console.print(line, markup=False, highlight=False)
    for missing in not_calibrated(outcomes):
        console.print(sentence(missing), style="yellow", markup=False, highlight=False)
    console.print(summary(outcomes), style="bold")


def markdown(outcomes: Sequence[Outcome]) -> str:
    rows = [f"| {' | '.join(cells(one))} |" for one in calibrations(outcomes)]
    lines = [f"| {' | '.join(HEADS)} |", f"|{' --- |' * len(HEADS)}", *rows, "", summary(outcomes)]
    if listed := list(misses(outcomes)):
        lines += ["", "Misses:", "", *(f"- {miss}. Reason: …" for miss in listed)]
    if missing := not_calibrated(outcomes):
        lines += ["", "Not compared:", "", *(f"- {' '.join(sentence(one).split())}" for one in missing)]
    return "\n".join(lines) + "\n"


def misses(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Yield what was predicted and measured where the two differ."""
    for one in calibrations(outcomes):
        if one.is_miss:
            predicted, measured = one.predicted, one.measured
            yield (
                f"{one.technique}: {predicted.verdict} was predicted, {advice_table.effect(predicted)}; "
                f"{measured.verdict} was measured, {formatting.effect(measured)}"
            )


def sentence(missing: NotCalibrated) -> str:
    """Return why the technique is not compared, and its effect where it was measured."""
    measured = f" (measured: {formatting.effect(missing.measured)})" if missing.measured else ""
    return f"{missing.technique}: {missing.outcome}{measured}: {missing.reason}"


def cells(one: Calibration) -> list[str]:
    predicted, measured = one.predicted, one.measured
    right = "right" if one.effect_is_right else "wrong"
    return [
        one.technique,
        predicted.metric,
        advice_table.effect(predicted),
        advice_table.interval(predicted),
        formatting.effect(measured),
        formatting.interval(measured),
        f"{predicted.verdict} / {measured.verdict}{'' if one.is_valid else ', not valid'}",
        right if one.is_predicted else formatting.NONE,
    ]
