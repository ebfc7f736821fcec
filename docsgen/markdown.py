"""Markdown tables, as the templates of the pages take them."""

from collections.abc import Iterable, Sequence


def code(names: Iterable[str]) -> str:
    """Return the names as a comma list of code spans."""
    return ", ".join(f"`{name}`" for name in names)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in [columns, ["---"] * len(columns), *rows])
