"""The advice as one self-contained HTML file in the style of the lab's report."""

from pathlib import Path

from lab.advice import table
from lab.advice.result import Advice
from lab.report.formatting import quantity
from lab.report.page import page


def html(advice: Advice) -> str:
    render = page(
        "advice.html.j2",
        package="lab.advice",
        quantity=quantity,
        effect=table.effect,
        interval=table.interval,
        details=table.details,
        routes=table.routes,
    )
    return render(advice=advice)


def write(advice: Advice, path: Path) -> Path:
    """Write the report; return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(html(advice), encoding="utf-8")
    return path
