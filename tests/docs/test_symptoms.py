"""Messages that troubleshooting tables and runbooks quote are in the code that prints them."""

import re
from functools import cache
from pathlib import Path
from typing import Final

from tests.each import each

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = ("CONTRIBUTING.md", *sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs").glob("*.md")))
SOURCES: Final = (
    *("bench", "docsgen", "flightdeck", "grafana", "lab", "observability", "prometheus", "service"),
    *("Makefile", "docker-compose.yml", "lab/receiver/templates/inbox.html"),
)
OF_OTHERS: Final = {
    "connection refused",
    "permission denied to create database",
    '… relation "flights" already exists',
    "… ==> …",
    'secret "flightdeck" not found',
    'no matches for kind "PodMonitor"',
    'no matches for kind "ScaledObject"',
    "field is immutable",
    "port is already allocated",
}
"""Printed by the system, PostgreSQL, codespell, Kubernetes and Docker."""


@cache
def source_text() -> str:
    """Return all code, with string literals that continue on the next line joined."""
    files = [file for name in SOURCES for file in sorted((ROOT / name).rglob("*.py")) or [ROOT / name]]
    return re.sub(r'"\s*\n\s*f?"', "", "\n".join(file.read_text("utf-8") for file in files))


def quoted(page: str) -> list[str]:
    """Return the messages in the first column of a page's troubleshooting table."""
    table = (ROOT / page).read_text("utf-8").partition("## Troubleshooting")[2]
    cells = re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)
    messages = [text for cell in cells for text in re.findall(r"`([^`]*)`", cell) if " " in text]
    # test_stack_page.py tests the messages that begin with `failed`.
    return [text for text in messages if text not in OF_OTHERS and not text.startswith("failed ")]


def log_records() -> list[str]:
    """Return the log records that runbooks quote."""
    pages = sorted((ROOT / "docs/runbooks").glob("*.md"))
    return [text for page in pages for text in re.findall(r"log record `([^`]+)`", page.read_text("utf-8"))]


@each("message", lambda: [*(message for page in PAGES for message in quoted(page)), *log_records()])
def test_a_quoted_message_is_printed_by_the_code(message: str) -> None:
    source = source_text()
    fixed = [part.strip() for part in re.split(r"…|: |'[^']*'|/route|\.flightdeck|\d[\d.]*", message)]
    assert [part for part in fixed if len(part) > 3 and part not in source] == []
