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

from service.cache.lru import EntryLru
from service.cache.redis import scripts
from service.cache.redis.client import RedisClient
from service.cache.redis.record import VERSION, pack, unpack
from service.cache.redis.subscription import Subscription
from service.cache.store import Fetched, InvalidationListener, Lease, StoreDown, Unreadable
from service.http.cache_model.entry import Entry
from service.http.cache_model.policy import MAX_LIFETIME_S
from service.http.negotiation import CODINGS, IDENTITY

UNSUBSCRIBED_MAX_AGE_S = 1.0
"""How long a process serves its own copies while it receives no invalidations."""

MAX_PENDING = 10_000
"""Invalidations kept while Redis is down; with more, everything is invalidated when it is up."""

ALL = " all"
BODIES = (IDENTITY, *CODINGS)
FRESH, STALE, NONE, INVALIDATED = range(4)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class RedisStoreOptions:
    """Options that the processes on one store share."""

    namespace: str = "flightdeck"
    """The prefix of keys and of the invalidation channel: the same for all processes on the same data."""
    variant: str = ""
    """What else responses depend on: processes with different variants share invalidations, not entries."""
    lease_s: float = 10.0
    replica_lag_grace_s: float = 0.0
    """How long after an invalidation responses may still be computed from older data, because a replica lags."""
    retention_s: float = MAX_LIFETIME_S + 60
    """How long invalidations are remembered: longer than any entry lives."""


class RedisStore:
    """Stores entries, leases and invalidations in Redis, each in one round trip."""

    level = "shared"
    in_process: EntryLru | None = None

    def __init__(self, url: str, options: RedisStoreOptions, *, clock: Callable[[], float] = monotonic) -> None:
        self._prefix = f"{{{options.namespace}}}"
        self._variant = blake2b(options.variant.encode(), digest_size=16).digest()
        self._invalidations = f"{self._prefix}:invalidated"
        self._channel = f"{self._prefix}:invalidations"
        self._lease_ms = int(options.lease_s * 1000)
        self._grace_us = int(options.replica_lag_grace_s * 1e6)
        self._retention_us = int(options.retention_s * 1e6)
        self._clock = clock
        self._origin = token_hex(8)
        self._pending: set[str] = set()
        self._invalidated_until = 0
        self._client = RedisClient(url, recover=self._recover)
        # A process that lost its connection cannot know which invalidations others failed to publish meanwhile.
        self._subscription = Subscription(url, channel=self._channel, origin=self._origin, lost=self._client.go_down)
        self._fetch = self._client.script(scripts.FETCH)
        self._put = self._client.script(scripts.PUT)
        self._release = self._client.script(scripts.RELEASE)
        self._delete = self._client.script(scripts.DELETE)
        self._attach = self._client.script(scripts.ATTACH)
        self._invalidate = self._client.script(scripts.INVALIDATE)

    @property
    def max_local_age_s(self) -> float:
        return inf if self._subscription.is_connected else UNSUBSCRIBED_MAX_AGE_S

    async def open(self, listener: InvalidationListener) -> None:
        """Subscribe to the invalidations of other processes; Redis need not be up yet."""
        self._subscription.open(listener)

    async def close(self) -> None:
        await self._subscription.close()
        await self._client.close()

    async def fetch(self, key: bytes) -> Fetched:
        self._client.check()
        token = token_bytes(8)
        state, now_us, granted, *stored = await self._fetch(
            self._keys(key), [token, self._lease_ms, self._invalidated_until, *BODIES]
        )
        lease = Lease(token, now_us, is_granted=granted == 1)
        if state in {NONE, INVALIDATED}:
            return Fetched(None, lease, was_invalidated=state == INVALIDATED)
        try:
            entry = self._entry(key, stored)
        except Unreadable as error:
            logger.warning("an entry of the shared cache is deleted: %s", error)
            await self._delete(self._keys(key)[:1], [])
            return await self.fetch(key)
        return Fetched(entry, None if state == FRESH else lease)

    async def put(self, key: bytes, entry: Entry, lease: Lease) -> bool:
        self._client.check()
        now = self._clock()
        fresh_us = max(0, int((entry.fresh_until - now) * 1e6))
        life_ms = max(1, int((entry.stale_until - now) * 1000))
        tags = " ".join(entry.tags)
        try:
            record = pack(entry)
        except ValueError as error:
            logger.warning("a response is not stored in the shared cache: %s", error)
            await self.release(key, lease)
            return True
        created_us = int(lease.created_at)
        arguments: list[bytes | str | int] = [lease.token, created_us, fresh_us, life_ms, tags, record, entry.body]
        if not await self._put(self._keys(key), arguments):
            return False
        self._follow(key, entry, lease.created_at)
        return True

    async def release(self, key: bytes, lease: Lease, *, hold_s: float = 0.0) -> None:
        self._client.check()
        await self._release(self._keys(key)[1:2], [lease.token, int(hold_s * 1000)])

    async def invalidate(self, tags: frozenset[str]) -> None:
        """Invalidate every entry with one of the tags; while Redis is down, before it is used again."""
        if not self._client.is_down:
            try:
                await self._publish(tags)
            except StoreDown:
                self._client.go_down()
            else:
                return
        self._pending |= tags
        if len(self._pending) > MAX_PENDING:
            self._pending = {ALL}

    async def _recover(self) -> None:
        """Publish pending invalidations.

        Every stored entry counts as invalidated too: another process may have stopped before it could publish.
        """
        while True:
            tags = frozenset(self._pending)
            self._invalidated_until = await self._publish(tags)
            self._pending -= tags
            if not self._pending:
                return

    async def _publish(self, tags: frozenset[str]) -> int:
        arguments: list[bytes | str | int] = [self._grace_us, self._retention_us, self._channel, self._origin, *tags]
        return int(await self._invalidate([self._invalidations], arguments))

    def _entry(self, key: bytes, stored: list[Any]) -> Entry:
        created_us, age_us, fresh_us, left_ms, tags, record, *bodies = stored
        by_coding = {coding: body for coding, body in zip(BODIES, bodies, strict=True) if body is not None}
        body = by_coding.pop(IDENTITY, b"")
        entry = unpack(record or b"", body=body, tags=frozenset(tags.decode().split()))
        entry.variants.update(by_coding)
        fresh_s = fresh_us / 1e6
        entry.set_lifetime(now=self._clock(), age_s=age_us / 1e6, fresh_s=fresh_s, stale_s=left_ms / 1e3 - fresh_s)
        self._follow(key, entry, created_us)
        return entry

    def _follow(self, key: bytes, entry: Entry, created_at: float) -> None:
        """Store every variant of the entry from now on."""
        entry.created_at = created_at
        entry.on_variant[self.level] = partial(self._store_variant, key)

    def _store_variant(self, key: bytes, entry: Entry, coding: str) -> None:
        variant = entry.variants[coding]
        if variant is not entry.body and not self._client.is_down:
            self._client.tasks.start(self._attach_variant(key, [int(entry.created_at), coding, variant]))

    async def _attach_variant(self, key: bytes, arguments: list[bytes | str | int]) -> None:
        with suppress(StoreDown):  # then the next process compresses it again
            await self._attach(self._keys(key)[:1], arguments)

    def _keys(self, key: bytes) -> list[str]:
        """Return the keys of the entry, of its lease, and of the invalidations."""
        digest = blake2b(key, digest_size=16, key=self._variant).hexdigest()
        return [f"{self._prefix}:entry{VERSION}:{digest}", f"{self._prefix}:lease:{digest}", self._invalidations]
