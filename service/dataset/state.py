"""What a database holds, seen from outside."""

from dataclasses import dataclass
from typing import Protocol

from service.dataset.progress import Progress
from service.dataset.source import Source


@dataclass(frozen=True, kw_only=True)
class State:
    """What one database holds; a version is absent when nothing is loaded."""

    name: str
    """The file, or the URL without its password."""
    digest: str | None = None
    """Which data set."""
    schema_is_current: bool = False
    """Whether the tables are those of this version."""
    loaded_at: str | None = None
    status_changes: int = 0
    size_bytes: int = 0


class Target(Protocol):
    """The databases that a load makes complete: one with secondary indexes, one without."""

    def load(self, source: Source, progress: Progress, *, force: bool = False) -> bool:
        """Make both complete; return False if they already were, after verifying them."""

    def migrate(self) -> None:
        """Bring the tables of both to this version; rows stay."""

    def states(self) -> list[State]:
        """Return what each of them holds; raise `DatasetError` if one cannot be read."""
