"""The seam to what keeps entries for this process or for several."""

from dataclasses import dataclass
from typing import Protocol

from service.cache.lru import EntryLru
from service.http.cache_model.entry import Entry


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to compute an entry, unless somebody else has it."""

    token: bytes
    born: float
    """The store's time before the computation; what is invalidated from then on makes the result dead."""
    is_granted: bool


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a store has for a key: a fresh entry, or a stale one or none, then with a lease that may be granted."""

    entry: Entry | None
    lease: Lease | None
    found_dead: bool = False
    """Whether there was an entry that an invalidation has made unusable, counted here for the first time."""


class Listener(Protocol):
    """What holds answers in this process."""

    def drop(self, tags: frozenset[str]) -> None:
        """Forget the answers with one of the tags."""

    def drop_all(self) -> None:
        """Forget every answer: what was invalidated elsewhere may have been missed."""


class Store(Protocol):
    """Keeps entries, hands out leases, remembers invalidations. `fetch`, `put` and `release` may raise `StoreDown`."""

    @property
    def level(self) -> str:
        """The level's name in metrics: `local` or `shared`."""

    @property
    def front(self) -> EntryLru | None:
        """The entries themselves where a lookup needs no waiting, else None."""

    @property
    def trusted_s(self) -> float:
        """How long a process may send its own copy of an entry: short while it would not hear of invalidations."""

    async def open(self, listener: Listener) -> None:
        """Start what the store needs beside requests; tell the listener what other processes invalidate."""

    async def close(self) -> None:
        """End it."""

    async def fetch(self, key: bytes) -> Fetched:
        """Return the entry, and unless it is fresh a lease that may be granted."""

    async def put(self, key: bytes, entry: Entry, lease: Lease) -> bool:
        """Keep the entry and end the lease; return False if the entry is dead and was not kept."""

    async def release(self, key: bytes, lease: Lease, *, hold_s: float = 0.0) -> None:
        """End the lease without a result; nobody else gets one for `hold_s`."""

    async def invalidate(self, tags: frozenset[str]) -> None:
        """Make every entry with one of the tags dead, kept or still being computed."""
