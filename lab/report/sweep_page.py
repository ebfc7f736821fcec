"""A sweep in the report: charts and tables."""

from dataclasses import dataclass
from typing import Self

from lab.analysis.sweep_result import SweepResult, SweepTable
from lab.report.formatting import cell
from lab.report.sweep_charts import DrawnCurve, drawn_curve
from lab.report.sweep_table import is_number


@dataclass(frozen=True, kw_only=True)
class Heading:
    title: str
    is_number: bool


@dataclass(frozen=True, kw_only=True)
class TextRow:
    cells: list[str]
    is_chosen: bool


@dataclass(frozen=True, kw_only=True)
class TextTable:
    title: str
    columns: list[Heading]
    rows: list[TextRow]
    is_detail: bool

    @classmethod
    def of(cls, table: SweepTable) -> Self:
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
    anchor: str
    found: SweepResult
    curves: list[DrawnCurve]
    tables: list[TextTable]

    @classmethod
    def of(cls, found: SweepResult) -> Self:
        """Draw the curves; a curve without points is omitted."""
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
