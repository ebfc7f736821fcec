"""The store of a single process."""

from collections.abc import Callable
from math import inf
from secrets import token_bytes
from time import monotonic

from cachetools import TLRUCache

from service.cache.lru import EntryLru
from service.cache.store import Fetched, InvalidationListener, Lease
from service.cache.tag_invalidations import TagInvalidations
from service.http.cache_model.entry import Entry

MAX_LEASES = 10_000


class MemoryStore:
    """Entries in the memory of this process."""

    def __init__(
        self,
        entries: EntryLru,
        *,
        lease_s: float = 10.0,
        replica_lag_grace_s: float = 0.0,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.in_process = entries
        self.level = entries.level
        self.max_local_age_s = inf
        self._lease_s = lease_s
        self._replica_lag_grace_s = replica_lag_grace_s
        self._clock = clock
        self._invalidations = TagInvalidations()
        self._leases: TLRUCache[bytes, tuple[bytes, float]] = TLRUCache(
            MAX_LEASES, ttu=lambda _, held, __: held[1], timer=clock
        )

    async def open(self, listener: InvalidationListener) -> None:
        """Do nothing: no other process shares the entries."""

    async def close(self) -> None:
        """Do nothing."""

    async def fetch(self, key: bytes) -> Fetched:
        now = self._clock()
        entry = self.in_process.get(key)
        if entry is not None and now < entry.fresh_until:
            return Fetched(entry, None)
        if entry is not None and now >= entry.stale_until:
            del self.in_process[key]
            entry = None
        return Fetched(entry, self._lease(key, now))

    async def put(self, key: bytes, entry: Entry, lease: Lease) -> bool:
        self._end(key, lease)
        if not self._invalidations.allow(entry.tags, since=lease.created_at):
            return False
        stored = self.in_process.get(key)
        if stored is None or stored.created_at <= lease.created_at:
            entry.created_at = lease.created_at
            self.in_process[key] = entry
        return True

    async def release(self, key: bytes, lease: Lease, *, hold_s: float = 0.0) -> None:
        if self._end(key, lease) and hold_s > 0:
            self._leases[key] = (lease.token, self._clock() + hold_s)

    async def invalidate(self, tags: frozenset[str]) -> None:
        self._invalidations.record(tags, self._clock() + self._replica_lag_grace_s)
        self.in_process.invalidate(tags)

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
