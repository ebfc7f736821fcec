"""The cache of a service without one."""

from collections.abc import Iterable


class NullCache:
    """Keeps nothing, so nothing in it can be stale."""

    async def invalidate(self, tags: Iterable[str]) -> None:
        """Nothing is kept."""
