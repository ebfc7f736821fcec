"""Entries in Redis, shared by every process of the service."""

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from math import inf
from secrets import token_bytes, token_hex
from time import monotonic
from typing import Any

from service.cache.errors import StoreDown
from service.cache.lru import EntryLru
from service.cache.redis import scripts
from service.cache.redis.client import Link
from service.cache.redis.record import VERSION, Unreadable, packed, unpacked
from service.cache.redis.subscription import Subscription
from service.cache.store import Fetched, Lease, Listener
from service.http.cache_model.entry import Entry
from service.http.cache_model.policy import LONGEST_S
from service.http.negotiation import CODINGS, IDENTITY

UNHEARD_S = 1.0
"""How long a process trusts its own copies while it would not hear of an invalidation."""

MOST_PENDING = 10_000
"""Invalidations remembered while Redis is down; beyond that everything is invalidated when it is back."""

ALL = " all"
BODIES = (IDENTITY, *CODINGS)
FRESH, STALE, NONE, FOUND_DEAD = range(4)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Sharing:
    """What processes that share a store have to agree on."""

    namespace: str = "flightdeck"
    """Of keys, and of invalidations: the same for all that read and write the same data."""
    variant: str = ""
    """What else shapes an answer: processes with different ones share invalidations, not entries."""
    lease_s: float = 10.0
    settle_s: float = 0.0
    """How long after an invalidation answers are still computed from what was before, as a lagging replica does."""
    retention_s: float = LONGEST_S + 60
    """How long invalidations are remembered: longer than any entry can live."""


class RedisStore:
    """Keeps entries, leases and invalidations in Redis; one round trip for each."""

    level = "shared"
    front: EntryLru | None = None

    def __init__(self, url: str, sharing: Sharing, *, clock: Callable[[], float] = monotonic) -> None:
        self._prefix = f"{{{sharing.namespace}}}"
        self._variant = blake2b(sharing.variant.encode(), digest_size=16).digest()
        self._stamps = f"{self._prefix}:stamps"
        self._channel = f"{self._prefix}:invalidations"
        self._lease_ms = int(sharing.lease_s * 1000)
        self._settle_us = int(sharing.settle_s * 1e6)
        self._retention_us = int(sharing.retention_s * 1e6)
        self._clock = clock
        self._origin = token_hex(8)
        self._pending: set[str] = set()
        self._trusted_from = 0
        self._link = Link(url, recover=self._recovered)
        # Who loses its connection can not know what others failed to say meanwhile, so it starts afresh.
        self._subscription = Subscription(url, channel=self._channel, origin=self._origin, lost=self._link.go_down)
        self._fetch = self._link.script(scripts.FETCH)
        self._put = self._link.script(scripts.PUT)
        self._release = self._link.script(scripts.RELEASE)
        self._forget = self._link.script(scripts.FORGET)
        self._attach = self._link.script(scripts.ATTACH)
        self._invalidate = self._link.script(scripts.INVALIDATE)

    @property
    def trusted_s(self) -> float:
        """How long a process may send its own copy: short while it would not hear of invalidations."""
        return inf if self._subscription.is_heard else UNHEARD_S

    async def open(self, listener: Listener) -> None:
        """Listen to what other processes invalidate; Redis need not be there yet."""
        self._subscription.open(listener)

    async def close(self) -> None:
        """Close every connection."""
        await self._subscription.close()
        await self._link.close()

    async def fetch(self, key: bytes) -> Fetched:
        """Return the entry, and unless it is fresh a lease that may be granted."""
        self._link.check()
        token = token_bytes(8)
        state, now_us, granted, *kept = await self._fetch(
            self._keys(key), [token, self._lease_ms, self._trusted_from, *BODIES]
        )
        lease = Lease(token, now_us, is_granted=granted == 1)
        if state in {NONE, FOUND_DEAD}:
            return Fetched(None, lease, found_dead=state == FOUND_DEAD)
        try:
            entry = self._entry(key, kept)
        except Unreadable as error:
            logger.warning("an entry of the shared cache is dropped: %s", error)
            await self._forget(self._keys(key)[:1], [])
            return await self.fetch(key)
        return Fetched(entry, None if state == FRESH else lease)

    async def put(self, key: bytes, entry: Entry, lease: Lease) -> bool:
        """Keep the entry and end the lease; return False if the entry is dead and was not kept."""
        self._link.check()
        now = self._clock()
        fresh_us = max(0, int((entry.fresh_until - now) * 1e6))
        life_ms = max(1, int((entry.stale_until - now) * 1000))
        tags = " ".join(entry.tags)
        try:
            record = packed(entry)
        except ValueError as error:
            logger.warning("an answer is not kept in the shared cache: %s", error)
            await self.release(key, lease)
            return True
        arguments: list[bytes | str | int] = [lease.token, int(lease.born), fresh_us, life_ms, tags, record, entry.body]
        if not await self._put(self._keys(key), arguments):
            return False
        self._follow(key, entry, lease.born)
        return True

    async def release(self, key: bytes, lease: Lease, *, hold_s: float = 0.0) -> None:
        """End the lease without a result; nobody else gets one for `hold_s`."""
        self._link.check()
        await self._release(self._keys(key)[1:2], [lease.token, int(hold_s * 1000)])

    async def invalidate(self, tags: frozenset[str]) -> None:
        """Make every entry with one of the tags dead; while Redis is down, before it is used again."""
        if not self._link.is_down:
            try:
                await self._stamp(tags)
            except StoreDown:
                self._link.go_down()
            else:
                return
        self._pending |= tags
        if len(self._pending) > MOST_PENDING:
            self._pending = {ALL}

    async def _recovered(self) -> None:
        """Make up for what was missed; what others could not tell before they ended is covered by trusting nothing."""
        while True:
            tags = frozenset(self._pending)
            self._trusted_from = await self._stamp(tags)
            self._pending -= tags
            if not self._pending:
                return

    async def _stamp(self, tags: frozenset[str]) -> int:
        arguments: list[bytes | str | int] = [self._settle_us, self._retention_us, self._channel, self._origin, *tags]
        return int(await self._invalidate([self._stamps], arguments))

    def _entry(self, key: bytes, kept: list[Any]) -> Entry:
        born, age_us, fresh_us, left_ms, tags, record, *bodies = kept
        by_coding = {coding: body for coding, body in zip(BODIES, bodies, strict=True) if body is not None}
        body = by_coding.pop(IDENTITY, b"")
        entry = unpacked(record or b"", body=body, tags=frozenset(tags.decode().split()))
        entry.variants.update(by_coding)
        fresh_s = fresh_us / 1e6
        entry.live(now=self._clock(), age_s=age_us / 1e6, fresh_s=fresh_s, stale_s=left_ms / 1e3 - fresh_s)
        self._follow(key, entry, born)
        return entry

    def _follow(self, key: bytes, entry: Entry, born: float) -> None:
        """Keep every variant that is made of the entry from now on."""
        entry.born = born
        entry.holders[self.level] = partial(self._attach_variant, key)

    def _attach_variant(self, key: bytes, entry: Entry, coding: str) -> None:
        variant = entry.variants[coding]
        if variant is not entry.body and not self._link.is_down:
            self._link.hold(self._attached(key, [int(entry.born), coding, variant]))

    async def _attached(self, key: bytes, arguments: list[bytes | str | int]) -> None:
        with suppress(StoreDown):  # then the next process makes it again
            await self._attach(self._keys(key)[:1], arguments)

    def _keys(self, key: bytes) -> list[str]:
        """Return the keys of an entry, of its lease, and of the stamps."""
        digest = blake2b(key, digest_size=16, key=self._variant).hexdigest()
        return [f"{self._prefix}:entry{VERSION}:{digest}", f"{self._prefix}:lease:{digest}", self._stamps]
