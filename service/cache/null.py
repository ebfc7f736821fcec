"""No cache: what the service composes when every technique that caches is off."""

from collections.abc import Iterable
from typing import Protocol


class Invalidates(Protocol):
    """What the write path knows of a cache."""

    async def invalidate(self, tags: Iterable[str]) -> None:
        """Return when no answer with one of the tags can be sent any more."""


class NullCache:
    """Keeps nothing, so nothing in it can be stale."""

    async def invalidate(self, tags: Iterable[str]) -> None:
        """Nothing is kept."""
