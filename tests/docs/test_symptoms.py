"""What a page's troubleshooting quotes as printed is in the code that prints it."""

import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = (
    "CONTRIBUTING.md",
    "docs/adopting.md",
    "docs/lab.md",
    "docs/postgresql.md",
    "docs/benchmarks.md",
    "docs/overhead.md",
)
SOURCES: Final = ("bench", "docsgen", "flightdeck", "lab", "observability", "service", "Makefile")
OF_OTHERS: Final = {
    "connection refused",
    "permission denied to create database",
    '… relation "flights" already exists',
    "… ==> …",
}
"""Printed by the system, PostgreSQL and codespell."""


def source_text() -> str:
    """Return all code, with string literals that continue on the next line joined."""
    files = [file for name in SOURCES for file in sorted((ROOT / name).rglob("*.py")) or [ROOT / name]]
    return re.sub(r'"\s*\n\s*f?"', "", "\n".join(file.read_text("utf-8") for file in files))


def quoted(page: str) -> list[str]:
    """Return the messages in the first column of a page's troubleshooting table."""
    table = (ROOT / page).read_text("utf-8").partition("## Troubleshooting")[2]
    cells = re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)
    return [text for cell in cells for text in re.findall(r"`([^`]* [^`]*)`", cell) if text not in OF_OTHERS]


@pytest.mark.parametrize("message", [message for page in PAGES for message in quoted(page)])
def test_a_quoted_message_is_printed_by_the_code(message: str) -> None:
    source = source_text()
    fixed = [part.strip() for part in re.split(r"…|: |'[^']*'|/route|\.flightdeck|\d[\d.]*", message)]
    assert [part for part in fixed if len(part) > 3 and part not in source] == []
