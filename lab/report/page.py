"""The templates of every HTML file of the lab, in one style: no script, no font, no network."""

from collections.abc import Callable
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, select_autoescape

from service.techniques import ARM_COLOURS


def page(template: str, *, package: str = "lab.report", **filters: Callable[..., Any]) -> Callable[..., str]:
    """Return the function that renders a template of the package, which may include those of the report."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("lab.report")]),
        autoescape=select_autoescape(["html", "j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["arm_colours"] = ARM_COLOURS
    environment.filters |= filters
    return environment.get_template(template).render
