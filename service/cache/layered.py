"""The cache: a bounded LRU in the process in front of a store, with single flight per key."""

import asyncio
from collections.abc import Iterable
from contextvars import Context
from dataclasses import dataclass
from random import Random
from time import perf_counter
from typing import Self

from service.cache.levels import Levels
from service.cache.lookup import Compute, Lookup
from service.cache.single_flight import PendingCall, SingleFlight
from service.http.cache_model.entry import Entry
from service.http.cache_model.policy import CachePolicy
from service.http.cache_model.tags import canonical

ATTEMPTS = 3
"""How many calls a request follows, if they time out or their result is invalidated, before it is not cached."""


@dataclass(frozen=True, slots=True)
class CacheResult:
    """The entry for a request, and where it came from."""

    entry: Entry | None
    """None: the application has to handle this request, or has done so if `call` is set."""
    result: str
    """`hit`, `stale`, `miss` or `coalesced`."""
    call: PendingCall | None = None
    """Set for the leader; its task ends when the application is done."""


class LayeredCache:
    """Entries by key, from the process, the store or the application."""

    def __init__(self, levels: Levels, *, timeout_s: float = 10.0) -> None:
        self.levels = levels
        self._timeout_s = timeout_s
        self._single_flight = SingleFlight(timeout_s=timeout_s, clock=levels.clock)
        self._random = Random()  # noqa: S311 spreads expiry, guards nothing

    async def __aenter__(self) -> Self:
        await self.levels.store.open(self.levels)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._single_flight.tasks.close()
        await self.levels.store.close()

    async def get(self, key: bytes, policy: CachePolicy, compute: Compute, refresh: Compute) -> CacheResult:
        """Return the entry, computed at most once at a time; raise what the application raised.

        `compute` runs the application for the request at hand, `refresh` in the background for a stale entry.
        """
        started = perf_counter()
        levels = self.levels
        if levels.local is not None:
            levels.meter.observe(policy.cache, level=levels.local.level, result="miss", seconds=0.0)
        for _ in range(ATTEMPTS):
            call = self._single_flight.find(key)
            if call is None:
                return await self._lead(key, policy, compute, refresh)
            if not await self._single_flight.wait_follower(call):
                continue
            entry = call.result.result()
            if entry is None:
                break
            if not entry.is_invalidated:
                seconds = perf_counter() - started
                levels.meter.observe(policy.cache, level=levels.store.level, result="coalesced", seconds=seconds)
                return CacheResult(entry, "coalesced")
        return CacheResult(None, "miss")

    async def wait_done(self, result: CacheResult) -> None:
        """Wait until the application is done; raise what it raised after its response."""
        if result.call is not None:
            await self._single_flight.wait_done(result.call)

    async def invalidate(self, tags: Iterable[str]) -> None:
        """Invalidate every entry with one of the tags, in every level; completes even if the caller is cancelled."""
        await asyncio.shield(self._single_flight.tasks.start(self._invalidate(frozenset(map(canonical, tags)))))

    async def _invalidate(self, tags: frozenset[str]) -> None:
        await self.levels.store.invalidate(tags)
        self.levels.drop(tags)

    async def _lead(self, key: bytes, policy: CachePolicy, compute: Compute, refresh: Compute) -> CacheResult:
        lookup = Lookup(self.levels, key, policy, timeout_s=self._timeout_s, random=self._random)
        flight = self._single_flight

        async def run(call: PendingCall) -> None:
            if await lookup.run(compute, lambda entry: flight.resolve(key, call, entry)):
                flight.tasks.start(lookup.refresh(refresh), context=Context())

        call = flight.start(key, run)
        if not await flight.wait_leader(call):
            return CacheResult(None, "miss")
        return CacheResult(call.result.result(), lookup.result, call)
