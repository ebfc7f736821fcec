"""The advice as one self-contained HTML file in the style of the lab's report."""

from pathlib import Path

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, select_autoescape

from lab.advice import table
from lab.advice.result import Advice
from lab.report.formatting import quantity
from service.techniques import ARM_COLOURS


def html(advice: Advice) -> str:
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("lab.advice"), PackageLoader("lab.report")]),
        autoescape=select_autoescape(["html", "j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "quantity": quantity,
        "effect": table.effect,
        "interval": table.interval,
        "details": table.details,
        "routes": table.routes,
    }
    return environment.get_template("advice.html.j2").render(advice=advice, arm_colours=ARM_COLOURS)


def write(advice: Advice, path: Path) -> Path:
    """Write the report; return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(html(advice), encoding="utf-8")
    return path
