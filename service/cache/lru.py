"""A bounded in-process LRU of entries that can be invalidated by tag."""

from collections import Counter
from functools import partial
from typing import Protocol

from cachetools import LRUCache

from service.http.cache_model.entry import Entry


class CacheMeter(Protocol):
    """Records lookups, sizes and invalidations, as `observability.cache.cache.CacheMetrics` does."""

    def observe(self, cache: str, *, level: str, result: str, seconds: float) -> None:
        """Record one lookup with its result: hit, stale, miss, coalesced or error."""

    def set_size(self, cache: str, *, level: str, entries: int, size_bytes: int) -> None:
        """Set the size of a level."""

    def count_invalidations(self, cache: str, *, level: str, entries: int = 1) -> None:
        """Count invalidated entries."""


class EntryLru(LRUCache[bytes, Entry]):
    """Entries by key, bounded by their size in bytes."""

    def __init__(self, *, level: str, max_bytes: int, meter: CacheMeter) -> None:
        super().__init__(max_bytes, getsizeof=_size_bytes)
        self.level = level
        self._meter = meter
        self._keys_by_tag: dict[str, set[bytes]] = {}
        self._sizes: dict[bytes, tuple[Entry, int]] = {}
        self._entries: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()

    def __setitem__(self, key: bytes, entry: Entry) -> None:
        if key in self:
            del self[key]
        size_bytes = entry.size_bytes
        if size_bytes > self.maxsize:
            return
        super().__setitem__(key, entry)
        self._sizes[key] = (entry, size_bytes)
        for tag in entry.tags:
            self._keys_by_tag.setdefault(tag, set()).add(key)
        entry.on_variant[self.level] = partial(self._update_size, key)
        self._account(entry.cache, entries=1, size_bytes=size_bytes)

    def __delitem__(self, key: bytes) -> None:
        super().__delitem__(key)
        entry, size_bytes = self._sizes.pop(key)
        for tag in entry.tags:
            keys = self._keys_by_tag[tag]
            keys.discard(key)
            if not keys:
                del self._keys_by_tag[tag]
        entry.on_variant.pop(self.level, None)
        self._account(entry.cache, entries=-1, size_bytes=-size_bytes)

    def get(self, key: bytes, default: Entry | None = None) -> Entry | None:  # type: ignore[override]  # no overloads
        """Return the entry and mark it as most recently used, with one lookup where `LRUCache.get` does three."""
        return self[key] if key in self._sizes else default

    def invalidate(self, tags: frozenset[str]) -> None:
        dropped: Counter[str] = Counter()
        for key in {key for tag in tags for key in self._keys_by_tag.get(tag, ())}:
            dropped[self._sizes[key][0].cache] += 1
            del self[key]
        for cache, entries in dropped.items():
            self._meter.count_invalidations(cache, level=self.level, entries=entries)

    def clear(self) -> None:
        for key in list(self):
            del self[key]

    def _update_size(self, key: bytes, entry: Entry, encoding: str) -> None:  # noqa: ARG002 the signature of callbacks
        self[key] = entry

    def _account(self, cache: str, *, entries: int, size_bytes: int) -> None:
        self._entries[cache] += entries
        self._bytes[cache] += size_bytes
        self._meter.set_size(cache, level=self.level, entries=self._entries[cache], size_bytes=self._bytes[cache])


def _size_bytes(entry: Entry) -> int:
    return entry.size_bytes
