"""Where entries are: the process's own LRU and the store behind it."""

from collections.abc import Callable
from time import monotonic

from service.cache.lru import EntryLru
from service.cache.meter import CacheMeter
from service.cache.store import Store
from service.cache.tag_invalidations import Stamps
from service.http.cache_model.entry import Entry


class Levels:
    """The levels of a cache, and what was invalidated in this process since a computation began."""

    def __init__(
        self,
        store: Store,
        *,
        local: EntryLru | None,
        meter: CacheMeter,
        settle_s: float = 0.0,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.store = store
        self.local = local
        self.meter = meter
        self.clock = clock
        self.front = store.front if local is None else local
        """What answers without waiting, if anything does."""
        self._settle_s = settle_s
        self._stamps = Stamps()

    def fresh(self, key: bytes) -> Entry | None:
        """Return the entry that this process holds and may send at once, or None."""
        if self.front is None:
            return None
        entry = self.front.get(key)
        return entry if entry is not None and self.clock() < entry.fresh_until else None

    def settle(self, key: bytes, entry: Entry, *, asked_at: float) -> None:
        """Mark the entry dead if something it depends on was invalidated since then, else keep it in the process."""
        if not self._stamps.allow(entry.tags, since=asked_at):
            entry.is_dead = True
        elif self.local is not None and not entry.is_dead and entry.cache:
            entry.fresh_until = min(entry.fresh_until, self.clock() + self.store.trusted_s)
            self.local[key] = entry

    def drop(self, tags: frozenset[str]) -> None:
        """Make every answer with one of the tags unusable in this process."""
        self._stamps.stamp(tags, self.clock() + self._settle_s)
        if self.local is not None:
            self.local.invalidate(tags)

    def drop_all(self) -> None:
        """Make every answer unusable in this process: what was invalidated elsewhere may have been missed."""
        self._stamps.stamp_all(self.clock())
        if self.local is not None:
            self.local.clear()
