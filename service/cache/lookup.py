"""One lookup behind the process's own entries: what the store has, or what the application answers."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random
from time import perf_counter
from typing import Protocol

from service.cache.errors import StoreDown
from service.cache.levels import Levels
from service.cache.store import Fetched, Lease
from service.http.cache_model.entry import Entry
from service.http.cache_model.policy import CachePolicy

logger = logging.getLogger(__name__)

Land = Callable[[Entry | None], None]
Deliver = Callable[[Entry | None], Awaitable[None]]

FAILED_REFRESH_HOLD_S = 1.0
"""How long a stale entry whose refresh failed is sent without another attempt."""

FIRST_POLL_S, LONGEST_POLL_S = 0.02, 0.1
"""How often a process asks for what another one is computing."""


class Ask(Protocol):
    """Computes an answer and delivers it once, or None if it may be neither kept nor shared."""

    async def __call__(self, deliver: Deliver) -> None:
        """Return when the application is done, which may be long after its answer."""


class Lookup:
    """Finds or computes the entry of one key."""

    def __init__(self, levels: Levels, key: bytes, policy: CachePolicy, *, patience_s: float, random: Random) -> None:
        self.key = key
        self.policy = policy
        self.result = "miss"
        self._levels = levels
        self._patience_s = patience_s
        self._random = random
        self._asked_at = levels.clock()
        self._lease: Lease | None = None

    async def run(self, ask: Ask, land: Land) -> bool:
        """Land the answer for all who wait; return whether it was stale and this lookup is to refresh it."""
        fetched = await self._fetched()
        self._lease = fetched.lease
        if fetched.entry is not None:
            self._levels.settle(self.key, fetched.entry, asked_at=self._asked_at)
            land(fetched.entry)
            return fetched.lease is not None and fetched.lease.is_granted

        async def deliver(entry: Entry | None) -> None:
            if entry is not None:
                await self._keep(entry)
            land(entry)

        try:
            await ask(deliver)
        finally:
            await self._release()
        return False

    async def refresh(self, ask: Ask) -> None:
        """Compute the answer anew for nobody in particular; a failure is logged and counted."""
        self._asked_at = self._levels.clock()
        started = perf_counter()
        outcome = "no answer that may be kept"

        async def deliver(entry: Entry | None) -> None:
            nonlocal outcome
            if entry is not None and await self._keep(entry):
                outcome = ""

        try:
            async with asyncio.timeout(self._patience_s):
                await ask(deliver)
        except Exception as error:  # noqa: BLE001 whatever the application raises, the stale entry stays
            outcome = repr(error)
        finally:
            await self._release(hold_s=FAILED_REFRESH_HOLD_S)
        if outcome:
            logger.warning("the refresh of a stale entry of the cache %s failed: %s", self.policy.cache, outcome)
            self._observe("error", perf_counter() - started)

    async def _fetched(self) -> Fetched:
        """Return what the store has, after waiting a bounded time for another process that is computing it."""
        started = perf_counter()
        deadline = self._asked_at + self._patience_s
        pause_s = FIRST_POLL_S
        waited = False
        while True:
            try:
                fetched = await self._levels.store.fetch(self.key)
            except StoreDown:
                self._observe("error", perf_counter() - started)
                return Fetched(None, None)
            if fetched.found_dead:
                self._levels.meter.count_invalidations(self.policy.cache, level=self._levels.store.level)
            elsewhere = fetched.entry is None and fetched.lease is not None and not fetched.lease.is_granted
            if not elsewhere or self._levels.clock() >= deadline:
                break
            waited = True
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 1.5, LONGEST_POLL_S)
        if fetched.entry is not None:
            self.result = "stale" if fetched.lease is not None else "coalesced" if waited else "hit"
        self._observe(self.result, perf_counter() - started)
        return fetched

    async def _keep(self, entry: Entry) -> bool:
        """Keep the entry where its policy says; mark it dead if a write overtook it. Return whether it may be kept."""
        levels = self._levels
        fresh_s, stale_s = self.policy.lifetime_s(entry.status, self._random)
        if fresh_s > 0:
            now = levels.clock()
            entry.cache = self.policy.cache
            entry.live(now=now, age_s=now - self._asked_at, fresh_s=fresh_s, stale_s=stale_s)
            if self._lease is not None:
                lease, self._lease = self._lease, None
                try:
                    entry.is_dead = not await levels.store.put(self.key, entry, lease)
                except StoreDown:
                    self._observe("error", 0.0)
        levels.settle(self.key, entry, asked_at=self._asked_at)
        return fresh_s > 0

    async def _release(self, *, hold_s: float = 0.0) -> None:
        lease, self._lease = self._lease, None
        if lease is not None and lease.is_granted:
            with suppress(StoreDown):  # the lease then ends by itself
                await self._levels.store.release(self.key, lease, hold_s=hold_s)

    def _observe(self, result: str, seconds: float) -> None:
        self._levels.meter.observe(self.policy.cache, level=self._levels.store.level, result=result, seconds=seconds)
