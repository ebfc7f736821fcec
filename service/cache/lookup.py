"""One lookup after a miss in the process: from the store, or computed by the application."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random
from time import perf_counter
from typing import Protocol

from service.cache.levels import Levels
from service.cache.store import Fetched, Lease, StoreDown
from service.http.cache_model.entry import Entry
from service.http.cache_model.policy import CachePolicy

logger = logging.getLogger(__name__)

Resolve = Callable[[Entry | None], None]
Deliver = Callable[[Entry | None], Awaitable[None]]

FAILED_REFRESH_HOLD_S = 1.0
"""The pause between attempts to refresh a stale entry."""

FIRST_POLL_S, LONGEST_POLL_S = 0.02, 0.1
"""The interval of polls while another process computes the entry."""


class Compute(Protocol):
    """Computes a response and delivers its entry once, or None if it may be neither cached nor shared."""

    async def __call__(self, deliver: Deliver) -> None:
        """Return when the application is done, which may be long after its response."""


class Lookup:
    """Fetches or computes the entry of one key."""

    def __init__(self, levels: Levels, key: bytes, policy: CachePolicy, *, timeout_s: float, random: Random) -> None:
        self.key = key
        self.policy = policy
        self.result = "miss"
        self._levels = levels
        self._timeout_s = timeout_s
        self._random = random
        self._started_at = levels.clock()
        self._lease: Lease | None = None

    async def run(self, compute: Compute, resolve: Resolve) -> bool:
        """Resolve the entry; return whether it is stale and this lookup has the lease to refresh it."""
        fetched = await self._fetch()
        self._lease = fetched.lease
        if fetched.entry is not None:
            self._levels.admit(self.key, fetched.entry, since=self._started_at)
            resolve(fetched.entry)
            return fetched.lease is not None and fetched.lease.is_granted

        async def deliver(entry: Entry | None) -> None:
            if entry is not None:
                await self._store(entry)
            resolve(entry)

        try:
            await compute(deliver)
        finally:
            await self._release()
        return False

    async def refresh(self, compute: Compute) -> None:
        """Compute the entry again in the background; a failure is logged and counted."""
        self._started_at = self._levels.clock()
        started = perf_counter()
        problem = "the response may not be cached"

        async def deliver(entry: Entry | None) -> None:
            nonlocal problem
            if entry is not None and await self._store(entry):
                problem = ""

        try:
            async with asyncio.timeout(self._timeout_s):
                await compute(deliver)
        except Exception as error:  # noqa: BLE001 whatever the application raises, the stale entry stays
            problem = repr(error)
        finally:
            await self._release(hold_s=FAILED_REFRESH_HOLD_S)
        if problem:
            logger.warning("the refresh of a stale entry of the cache %s failed: %s", self.policy.cache, problem)
            self._observe("error", perf_counter() - started)

    async def _fetch(self) -> Fetched:
        """Return what the store has, after waiting up to the timeout for another process that computes it."""
        started = perf_counter()
        deadline = self._started_at + self._timeout_s
        pause_s = FIRST_POLL_S
        has_waited = False
        while True:
            try:
                fetched = await self._levels.store.fetch(self.key)
            except StoreDown:
                self._observe("error", perf_counter() - started)
                return Fetched(None, None)
            if fetched.was_invalidated:
                self._levels.meter.count_invalidations(self.policy.cache, level=self._levels.store.level)
            is_elsewhere = fetched.entry is None and fetched.lease is not None and not fetched.lease.is_granted
            if not is_elsewhere or self._levels.clock() >= deadline:
                break
            has_waited = True
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 1.5, LONGEST_POLL_S)
        if fetched.entry is not None:
            self.result = "stale" if fetched.lease is not None else "coalesced" if has_waited else "hit"
        self._observe(self.result, perf_counter() - started)
        return fetched

    async def _store(self, entry: Entry) -> bool:
        """Store the entry as its policy says, or mark it invalidated; return whether the policy allows to cache it."""
        levels = self._levels
        fresh_s, stale_s = self.policy.lifetime_s(entry.status, self._random)
        if fresh_s > 0:
            now = levels.clock()
            entry.cache = self.policy.cache
            entry.set_lifetime(now=now, age_s=now - self._started_at, fresh_s=fresh_s, stale_s=stale_s)
            if self._lease is not None:
                lease, self._lease = self._lease, None
                try:
                    entry.is_invalidated = not await levels.store.put(self.key, entry, lease)
                except StoreDown:
                    self._observe("error", 0.0)
        levels.admit(self.key, entry, since=self._started_at)
        return fresh_s > 0

    async def _release(self, *, hold_s: float = 0.0) -> None:
        lease, self._lease = self._lease, None
        if lease is not None and lease.is_granted:
            with suppress(StoreDown):  # then the lease expires
                await self._levels.store.release(self.key, lease, hold_s=hold_s)

    def _observe(self, result: str, seconds: float) -> None:
        self._levels.meter.observe(self.policy.cache, level=self._levels.store.level, result=result, seconds=seconds)
