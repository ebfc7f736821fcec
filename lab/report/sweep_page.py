"""A sweep as the report shows it: its curves drawn, its figures as text."""

from dataclasses import dataclass
from typing import Self

from lab.analysis.sweep_result import SweepResult, SweepTable
from lab.report.formatting import cell
from lab.report.sweep_charts import DrawnCurve, drawn_curve
from lab.report.sweep_table import is_number


@dataclass(frozen=True, kw_only=True)
class Heading:
    """The head of a column."""

    title: str
    is_number: bool


@dataclass(frozen=True, kw_only=True)
class TextRow:
    """A row of a table as text."""

    cells: list[str]
    is_chosen: bool


@dataclass(frozen=True, kw_only=True)
class TextTable:
    """A table as text."""

    title: str
    columns: list[Heading]
    rows: list[TextRow]
    is_detail: bool

    @classmethod
    def of(cls, table: SweepTable) -> Self:
        """Return the table as a person reads it."""
        return cls(
            title=table.title,
            columns=[Heading(title=column.title, is_number=is_number(table, column.name)) for column in table.columns],
            rows=[
                TextRow(
                    cells=[cell(row.get(column.name), column) for column in table.columns],
                    is_chosen=position in table.chosen,
                )
                for position, row in enumerate(table.rows)
            ],
            is_detail=table.is_detail,
        )


@dataclass(frozen=True, kw_only=True)
class DrawnSweep:
    """A sweep in the report."""

    anchor: str
    found: SweepResult
    curves: list[DrawnCurve]
    tables: list[TextTable]

    @classmethod
    def of(cls, found: SweepResult) -> Self:
        """Return the sweep with its curves drawn; a curve without a point is left out."""
        return cls(
            anchor=f"sweep-{found.name}",
            found=found,
            curves=[
                drawn_curve(curve, name=f"{found.name} {position}")
                for position, curve in enumerate(found.curves)
                if curve.lines
            ],
            tables=[TextTable.of(table) for table in found.tables],
        )
