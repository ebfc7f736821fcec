"""What the cache reports about itself; `observability.cache.cache.CacheMetrics` records it."""

from typing import Protocol


class CacheMeter(Protocol):
    """Counts lookups, sizes and invalidations."""

    def observe(self, cache: str, *, level: str, result: str, seconds: float) -> None:
        """Count one lookup and its result: hit, stale, miss, coalesced or error."""

    def set_size(self, cache: str, *, level: str, entries: int, size_bytes: int) -> None:
        """Set what a level holds."""

    def count_invalidations(self, cache: str, *, level: str, entries: int = 1) -> None:
        """Count entries that an invalidation made unusable."""
