"""The reference pages of docs/, generated from the code: `python -m docsgen.reference [--check]`.

The prose of a page is its template in docsgen/templates/.
"""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from docsgen.licences_page import licences_page
from docsgen.markdown import code, table
from docsgen.metrics_page import metrics_page, whatif_metrics_page
from docsgen.overhead_page import overhead_page
from docsgen.reliability_page import reliability_page
from docsgen.semconv_page import semantic_conventions_page
from docsgen.settings_pages import settings_page, telemetry_settings_page
from observability.doctor import APPLICATION_CHECKS, SERVICE_CHECKS, Check
from service.techniques import ARMS, CATALOGUE

DOCS: Final = Path(__file__).parents[1] / "docs"
TEMPLATES: Final = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    undefined=StrictUndefined,
    keep_trailing_newline=True,
    autoescape=False,  # noqa: S701 the pages are Markdown, made from our own code
)


def techniques_page() -> Mapping[str, str]:
    columns = ["applies_to", "off", "on", "cost"]
    arms = {name: [one.name for one in CATALOGUE if one.name in members] for name, members in ARMS.items()}
    return {
        "techniques": table(
            ["technique", *(column.replace("_", " ") for column in columns)],
            ([f"`{one.name}`", *(getattr(one, column) for column in columns)] for one in CATALOGUE),
        ),
        "headlines": table(
            ["technique", "decided by", "because"],
            ([f"`{one.name}`", one.headline, one.reason] for one in CATALOGUE),
        ),
        "arms": table(
            ["arm", "techniques"],
            (
                [f"`{arm}`", "all" if len(members) == len(CATALOGUE) else code(members) or "none"]
                for arm, members in arms.items()
            ),
        ),
    }


def doctor_page() -> Mapping[str, str]:
    def listed(checks: list[Check[Any]]) -> str:
        return table(["check", "finds", "fix"], ([f"`{one.name}`", one.description, one.fix] for one in checks))

    return {"service": listed(SERVICE_CHECKS), "application": listed(APPLICATION_CHECKS)}


PAGES: Final[Mapping[str, Callable[[], Mapping[str, Any]]]] = {
    "techniques.md": techniques_page,
    "settings.md": settings_page,
    "metrics.md": metrics_page,
    "what-if-metrics.md": whatif_metrics_page,
    "telemetry-settings.md": telemetry_settings_page,
    "semantic-conventions.md": semantic_conventions_page,
    "doctor.md": doctor_page,
    "licences.md": licences_page,
    "overhead.md": overhead_page,
    "reliability.md": reliability_page,
}
"""By file name, what the page's template shows."""


def render(name: str) -> str:
    """Return the text of a page."""
    return TEMPLATES.get_template(name).render(PAGES[name]())


def stale_pages() -> list[str]:
    """Return the names of the committed pages that differ from what the code generates."""
    return [name for name in PAGES if not (DOCS / name).exists() or (DOCS / name).read_text("utf-8") != render(name)]


def main() -> None:
    """Write the pages; with `--check` write nothing, and exit with 1 if a page is stale."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a page is not current")
    if parser.parse_args().check:
        if stale := stale_pages():
            sys.exit(f"not current: {', '.join(stale)}; run `python -m docsgen.reference`")
        return
    for name in PAGES:
        (DOCS / name).write_text(render(name), "utf-8")


if __name__ == "__main__":
    main()
