"""The interface of a store of entries, in this process or shared by several.

CacheError          the base of what can go wrong with a cache; clients never see one, the response is computed instead
├── StoreDown       the shared store is down
└── Unreadable      a stored record is damaged or of another version
"""

from dataclasses import dataclass
from typing import Protocol

from service.cache.lru import EntryLru
from service.http.cache_model.entry import Entry


class CacheError(Exception):
    pass


class StoreDown(CacheError):
    pass


class Unreadable(CacheError):
    pass


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to compute an entry; one process holds it at a time."""

    token: bytes
    created_at: float
    """The store's time before the computation; an invalidation from then on invalidates the result."""
    is_granted: bool


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a store has for a key. Unless the entry is fresh, a lease comes with it, which may be granted."""

    entry: Entry | None
    lease: Lease | None
    was_invalidated: bool = False
    """Whether the store had an invalidated entry, which this fetch removed."""


class InvalidationListener(Protocol):
    """The entries of this process, as far as invalidations concern them."""

    def drop(self, tags: frozenset[str]) -> None:
        """Invalidate the entries with one of the tags."""

    def drop_all(self) -> None:
        """Invalidate every entry, because invalidations may have been missed."""


class Store(Protocol):
    """Stores entries, grants leases, remembers invalidations. `fetch`, `put` and `release` may raise `StoreDown`."""

    @property
    def level(self) -> str:
        """The level in metrics: `local` or `shared`."""

    @property
    def in_process(self) -> EntryLru | None:
        """The entries themselves if they are in this process, else None."""

    @property
    def max_local_age_s(self) -> float:
        """How long a process may serve its own copy of an entry: short while it receives no invalidations."""

    async def open(self, listener: InvalidationListener) -> None:
        """Start background work; from then on the listener receives the invalidations of other processes."""

    async def close(self) -> None: ...

    async def fetch(self, key: bytes) -> Fetched: ...

    async def put(self, key: bytes, entry: Entry, lease: Lease) -> bool:
        """Store the entry and release the lease; return False if the entry was invalidated meanwhile."""

    async def release(self, key: bytes, lease: Lease, *, hold_s: float = 0.0) -> None:
        """Release the lease without a result; no other is granted for `hold_s`."""

    async def invalidate(self, tags: frozenset[str]) -> None:
        """Invalidate every entry with one of the tags, stored or still being computed."""
