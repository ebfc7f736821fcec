"""What one request must see, and what happened to it: shared by its sessions and the middleware around it."""

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final


@dataclass(kw_only=True)
class Consistency:
    """Of one request: which writes its reads must see, and what they met."""

    after: int = 0
    """Position in the primary's log that reads must see: the client's last write."""
    on_primary: bool = False
    """Whether every read goes to the primary."""
    wrote: int = 0
    """Position in the primary's log after this request's own write."""
    replica_failed: bool = False
    """Whether the replica failed in the middle of a read."""


current_consistency: Final[ContextVar[Consistency | None]] = ContextVar("current_consistency", default=None)
"""That of the running request; none outside of requests, and where all reads go to the primary anyway."""
