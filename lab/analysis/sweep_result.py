"""What a sweep found: tables, curves, and a recommendation with its reason. Every sweep tells it in the same form."""

from pydantic import BaseModel


class Axis(BaseModel):
    """What a curve is drawn over."""

    title: str
    unit: str = ""
    """`s`, `bytes`, `1/s`, `share`, `bit/s`, or empty for a number."""
    is_log: bool = True


class Line(BaseModel):
    """Points that belong together, in their order."""

    name: str
    points: list[tuple[float, float]]
    is_dashed: bool = False
    """A fitted law, or the other of two ways."""


class Curve(BaseModel):
    """A chart as data."""

    title: str
    x: Axis
    y: Axis
    lines: list[Line]
    caption: str = ""


class Column(BaseModel):
    """One column of a table."""

    name: str
    """Its key in every row."""
    title: str
    unit: str = ""


class SweepTable(BaseModel):
    """Figures in base units: seconds, bytes, shares of 1."""

    title: str = ""
    columns: list[Column]
    rows: list[dict[str, float | str | None]]
    chosen: list[int] = []
    """Rows that belong to the recommended value."""
    is_detail: bool = False
    """Folded away in a report, left out on a terminal."""


class SweepResult(BaseModel):
    """A setting over its range, and which value to choose."""

    name: str
    question: str
    setting: str
    """What was varied."""
    tables: list[SweepTable]
    curves: list[Curve]
    recommendation: str | None
    """None where nothing can be recommended; the reason says why."""
    reason: str
    notes: list[str] = []
    """What a reader must know before believing the figures."""
    is_interrupted: bool = False
