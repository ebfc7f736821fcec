"""A sweep as tables on a terminal, and as Markdown."""

from collections.abc import Iterator
from typing import Final

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from lab.analysis.sweep_result import SweepResult, SweepTable
from lab.report.formatting import cell

NOTHING: Final = "No recommendation"


def conclusion(result: SweepResult) -> str:
    return f"{result.recommendation or NOTHING}: {result.reason}."


def print_sweep(result: SweepResult, console: Console) -> None:
    for position, shown in enumerate(table for table in result.tables if not table.is_detail):
        console.print(_table(shown, title=shown.title if position else f"{result.question} {shown.title}".strip()))
    console.print(conclusion(result), style="bold" if result.recommendation else "yellow", markup=False)
    for note in result.notes:
        console.print(note, style="dim", markup=False)
    console.print()


def sweep_markdown(result: SweepResult) -> Iterator[str]:
    yield from (f"### {result.question}", "", conclusion(result), "")
    for table in result.tables:
        if table.is_detail:
            continue
        if table.title:
            yield from (f"{table.title}:", "")
        yield f"| {' | '.join(column.title for column in table.columns)} |"
        yield f"| {' | '.join('---:' if is_number(table, column.name) else '---' for column in table.columns)} |"
        for position, row in enumerate(table.rows):
            mark = "**" if position in table.chosen else ""
            cells = [cell(row.get(column.name), column) for column in table.columns]
            yield f"| {' | '.join(f'{mark}{text}{mark}' for text in cells)} |"
        yield ""
    yield from result.notes


def is_number(table: SweepTable, column: str) -> bool:
    """Return whether a column holds numbers, which are right-aligned."""
    return not any(isinstance(row.get(column), str) for row in table.rows)


def _table(shown: SweepTable, *, title: str) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", header_style="dim", box=SIMPLE, padding=(0, 1, 0, 0)
    )
    rows = [[cell(row.get(column.name), column) for column in shown.columns] for row in shown.rows]
    for at, column in enumerate(shown.columns):
        widest = max((len(row[at]) for row in rows), default=0)  # of the cells; a header may have several lines
        table.add_column(column.title, justify="right" if is_number(shown, column.name) else "left", min_width=widest)
    for position, row in enumerate(rows):
        table.add_row(*row, style="bold" if position in shown.chosen else "")
    return table
