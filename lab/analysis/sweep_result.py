"""The result of a sweep: tables, curves, and a recommendation with its reason."""

from pydantic import BaseModel


class Axis(BaseModel):
    title: str
    unit: str = ""
    """`s`, `bytes`, `1/s`, `share`, `bit/s`, or empty for a number."""
    is_log: bool = True


class Line(BaseModel):
    name: str
    points: list[tuple[float, float]]
    is_dashed: bool = False
    """A fitted law, or the second of two variants."""


class Curve(BaseModel):
    title: str
    x: Axis
    y: Axis
    lines: list[Line]
    caption: str = ""


class Column(BaseModel):
    name: str
    """Key in every row."""
    title: str
    unit: str = ""


class SweepTable(BaseModel):
    """Figures in base units: seconds, bytes, shares of 1."""

    title: str = ""
    columns: list[Column]
    rows: list[dict[str, float | str | None]]
    chosen: list[int] = []
    """Rows of the recommended value."""
    is_detail: bool = False
    """Collapsed in a report, omitted on a terminal."""


class SweepResult(BaseModel):
    name: str
    question: str
    setting: str
    """The setting that was varied."""
    tables: list[SweepTable]
    curves: list[Curve]
    recommendation: str | None
    """None if nothing can be recommended; `reason` says why."""
    reason: str
    notes: list[str] = []
    """Limits of the figures."""
    is_interrupted: bool = False
