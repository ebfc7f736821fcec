"""The store of one process: nothing to configure, nothing that other processes see."""

from collections.abc import Callable
from math import inf
from secrets import token_bytes
from time import monotonic

from cachetools import TLRUCache

from service.cache.lru import EntryLru
from service.cache.store import Fetched, Lease, Listener
from service.cache.tag_invalidations import Stamps
from service.http.cache_model.entry import Entry

MOST_LEASES = 10_000


class MemoryStore:
    """Entries in this process's memory."""

    def __init__(
        self, entries: EntryLru, *, lease_s: float = 10.0, settle_s: float = 0.0, clock: Callable[[], float] = monotonic
    ) -> None:
        self.front = entries
        self.level = entries.level
        self.trusted_s = inf
        self._lease_s = lease_s
        self._settle_s = settle_s
        self._clock = clock
        self._stamps = Stamps()
        self._leases: TLRUCache[bytes, tuple[bytes, float]] = TLRUCache(
            MOST_LEASES, ttu=lambda _, held, __: held[1], timer=clock
        )

    async def open(self, listener: Listener) -> None:
        """Nothing runs beside requests, and nobody else invalidates."""

    async def close(self) -> None:
        """Nothing runs beside requests."""

    async def fetch(self, key: bytes) -> Fetched:
        """Return the entry and, unless it is fresh, a lease that may be granted."""
        now = self._clock()
        entry = self.front.get(key)
        if entry is not None and now < entry.fresh_until:
            return Fetched(entry, None)
        if entry is not None and now >= entry.stale_until:
            del self.front[key]
            entry = None
        return Fetched(entry, self._lease(key, now))

    async def put(self, key: bytes, entry: Entry, lease: Lease) -> bool:
        """Keep the entry and end the lease; return False if the entry is dead and was not kept."""
        self._end(key, lease)
        if not self._stamps.allow(entry.tags, since=lease.born):
            return False
        kept = self.front.get(key)
        if kept is None or kept.born <= lease.born:
            entry.born = lease.born
            self.front[key] = entry
        return True

    async def release(self, key: bytes, lease: Lease, *, hold_s: float = 0.0) -> None:
        """End the lease without a result; nobody else gets one for `hold_s`."""
        if self._end(key, lease) and hold_s > 0:
            self._leases[key] = (lease.token, self._clock() + hold_s)

    async def invalidate(self, tags: frozenset[str]) -> None:
        """Make every entry with one of the tags dead, kept or still being computed."""
        self._stamps.stamp(tags, self._clock() + self._settle_s)
        self.front.invalidate(tags)

    def _lease(self, key: bytes, now: float) -> Lease:
        lease = Lease(token_bytes(8), now, is_granted=key not in self._leases)
        if lease.is_granted:
            self._leases[key] = (lease.token, now + self._lease_s)
        return lease

    def _end(self, key: bytes, lease: Lease) -> bool:
        held = self._leases.get(key)
        if held is None or held[0] != lease.token:
            return False
        del self._leases[key]
        return True
