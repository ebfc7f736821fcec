"""The cache: a bounded LRU in the process in front of a store, one computation at a time for each key."""

import asyncio
from collections.abc import Iterable
from contextvars import Context
from dataclasses import dataclass
from random import Random
from time import perf_counter

from service.cache.levels import Levels
from service.cache.lookup import Ask, Lookup
from service.cache.single_flight import Flight, Flights
from service.http.cache_model.entry import Entry
from service.http.cache_model.policy import CachePolicy
from service.http.cache_model.tags import canonical

ATTEMPTS = 3
"""How often a request that waited in vain, or for an answer that a write made dead, tries to share another one."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request is answered with and where it came from."""

    entry: Entry | None
    """None: the application must answer this request for itself, or has done so if `flight` is there."""
    result: str
    """`hit`, `stale`, `miss` or `coalesced`."""
    flight: Flight | None = None
    """Of the request that started the computation; its task ends when the application is done."""


class LayeredCache:
    """Answers by key, from the process, the store or the application."""

    def __init__(self, levels: Levels, *, patience_s: float = 10.0) -> None:
        self.levels = levels
        self._patience_s = patience_s
        self._flights = Flights(patience_s=patience_s, clock=levels.clock)
        self._random = Random()  # noqa: S311 spreads expiry, guards nothing

    async def __aenter__(self) -> "LayeredCache":
        await self.levels.store.open(self.levels)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._flights.close()
        await self.levels.store.close()

    async def answer(self, key: bytes, policy: CachePolicy, ask: Ask, again: Ask) -> Answer:
        """Return the answer, computed at most once at a time; raise what the application raised.

        `ask` computes it for the request at hand, `again` for nobody, when a stale one is refreshed.
        """
        started = perf_counter()
        levels = self.levels
        if levels.local is not None:
            levels.meter.observe(policy.cache, level=levels.local.level, result="miss", seconds=0.0)
        for _ in range(ATTEMPTS):
            flight = self._flights.joinable(key)
            if flight is None:
                return await self._led(key, policy, ask, again)
            if not await self._flights.joined(flight):
                continue
            entry = flight.answer.result()
            if entry is None:
                break
            if not entry.is_dead:
                seconds = perf_counter() - started
                levels.meter.observe(policy.cache, level=levels.store.level, result="coalesced", seconds=seconds)
                return Answer(entry, "coalesced")
        return Answer(None, "miss")

    async def ended(self, answer: Answer) -> None:
        """Wait until the application is done with what it does after its answer; raise what it raised there."""
        if answer.flight is not None:
            await self._flights.ended(answer.flight)

    async def invalidate(self, tags: Iterable[str]) -> None:
        """Make every answer with one of the tags unusable, in every level; done even if the caller is cancelled."""
        await asyncio.shield(self._flights.hold(self._invalidated(frozenset(map(canonical, tags)))))

    async def _invalidated(self, tags: frozenset[str]) -> None:
        await self.levels.store.invalidate(tags)
        self.levels.drop(tags)

    async def _led(self, key: bytes, policy: CachePolicy, ask: Ask, again: Ask) -> Answer:
        lookup = Lookup(self.levels, key, policy, patience_s=self._patience_s, random=self._random)

        async def found(flight: Flight) -> None:
            if await lookup.run(ask, lambda entry: self._flights.land(key, flight, entry)):
                self._flights.hold(lookup.refresh(again), context=Context())

        flight = self._flights.depart(key, found)
        if not await self._flights.led(flight):
            return Answer(None, "miss")
        return Answer(flight.answer.result(), lookup.result, flight)
