"""The levels of the cache: an optional LRU in the process in front of a store."""

from collections.abc import Callable
from time import monotonic

from service.cache.lru import CacheMeter, EntryLru
from service.cache.store import Store
from service.cache.tag_invalidations import TagInvalidations
from service.http.cache_model.entry import Entry


class Levels:
    """The levels, and the invalidations that this process has seen."""

    def __init__(
        self,
        store: Store,
        *,
        local: EntryLru | None,
        meter: CacheMeter,
        replica_lag_grace_s: float = 0.0,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.store = store
        self.local = local
        self.meter = meter
        self.clock = clock
        self.in_process = store.in_process if local is None else local
        """The entries that need no I/O, if there are any."""
        self.first_level = store.level if self.in_process is None else self.in_process.level
        """The level of the first lookup, in metrics."""
        self._replica_lag_grace_s = replica_lag_grace_s
        self._invalidations = TagInvalidations()

    def fresh(self, key: bytes) -> Entry | None:
        """Return the entry if it is in this process and fresh, else None."""
        if self.in_process is None:
            return None
        entry = self.in_process.get(key)
        return entry if entry is not None and self.clock() < entry.fresh_until else None

    def admit(self, key: bytes, entry: Entry, *, since: float) -> None:
        """Put the entry into the local level, or mark it invalidated if one of its tags was since then."""
        if not self._invalidations.allow(entry.tags, since=since):
            entry.is_invalidated = True
        elif self.local is not None and not entry.is_invalidated and entry.cache:
            entry.fresh_until = min(entry.fresh_until, self.clock() + self.store.max_local_age_s)
            self.local[key] = entry

    def drop(self, tags: frozenset[str]) -> None:
        """Invalidate every entry in this process with one of the tags."""
        self._invalidations.record(tags, self.clock() + self._replica_lag_grace_s)
        if self.local is not None:
            self.local.invalidate(tags)

    def drop_all(self) -> None:
        """Invalidate every entry in this process, because invalidations of other processes may have been missed."""
        self._invalidations.record_all(self.clock())
        if self.local is not None:
            self.local.clear()
