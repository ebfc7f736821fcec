"""The databases that a load fills: their state, and the progress of a load."""

from dataclasses import dataclass
from typing import Protocol

from service.dataset.source import Source


class Progress(Protocol):
    """Receives the progress of a load."""

    def say(self, line: str) -> None:
        """Show a message about the load as a whole."""

    def step(self, title: str, total: int) -> None:
        """Begin a step of `total` rows."""

    def advance(self, rows: int) -> None:
        """Count rows of the current step as done."""


@dataclass(frozen=True, kw_only=True)
class State:
    """What one database holds."""

    name: str
    """The file, or the URL without its password."""
    digest: str | None = None
    """The digest of the loaded data set, None before a load."""
    schema_is_current: bool = False
    loaded_at: str | None = None
    status_changes: int = 0
    size_bytes: int = 0


class Target(Protocol):
    """Two databases: one with secondary indexes, one without."""

    def load(self, source: Source, progress: Progress, *, force: bool = False) -> bool:
        """Load both; return False if they were complete already, after verifying them."""

    def migrate(self) -> None:
        """Migrate the schema of both to this version; rows are kept."""

    def states(self) -> list[State]:
        """Return the state of both; raise `DatasetError` if one cannot be read."""
