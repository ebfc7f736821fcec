"""The rows of a test's database, read without the service."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any


def rows(data_dir: Path, statement: str) -> list[dict[str, Any]]:
    """Return what a statement selects from the indexed embedded database."""
    with closing(sqlite3.connect(data_dir / "flightdeck.db")) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(statement)]
