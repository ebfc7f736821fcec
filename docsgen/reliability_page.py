"""The figures that `make reliability` recorded."""

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from docsgen.markdown import table

RECORDED: Final = Path(__file__).parents[1] / "docs" / "reliability.json"


def reliability_page() -> Mapping[str, Any]:
    recorded = json.loads(RECORDED.read_text("utf-8"))
    return {"figures": defaultdict(str, {section: _table(rows) for section, rows in recorded.items()})}


def _table(rows: Mapping[str, Mapping[str, Any]]) -> str:
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    return table(
        ["", *(column.replace("_", " ") for column in columns)],
        ([name, *(_text(row.get(column)) for column in columns)] for name, row in rows.items()),
    )


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):
        return ", ".join(f"{key}: {one:,}" for key, one in value.items())
    if isinstance(value, list):
        return " → ".join(_text(one) for one in value)
    return f"{value:,}" if isinstance(value, int | float) else str(value)
