"""What writes invalidate: the cache, the processes that share a Redis, and the edge in front of the service."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from time import monotonic, perf_counter
from typing import Final, Protocol, Self

import httpx

from service.cache.lru import CacheMeter
from service.cache.store import Store
from service.core.task_set import TaskSet, run_in_background
from service.http.cache_model.tags import canonical
from service.network.resolving_transport import ResolvingTransport

logger = logging.getLogger(__name__)


class Invalidator(Protocol):
    """An async context manager that is entered while the service runs."""

    async def invalidate(self, tags: Iterable[str]) -> None:
        """Return when no response with one of the tags can be served any more."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc: object) -> None: ...


class Invalidators:
    """Several invalidators, called in order; without any, nothing is cached and nothing can be stale."""

    def __init__(self, *invalidators: Invalidator) -> None:
        self.all = invalidators
        self._tasks = TaskSet()
        self._entered = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for invalidator in self.all:
            await self._entered.enter_async_context(invalidator)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._tasks.wait()
        await self._entered.aclose()

    async def invalidate(self, tags: Iterable[str]) -> None:
        """Invalidate every response with one of the tags; completes even if the caller is cancelled."""
        await asyncio.shield(self._tasks.start(self._invalidate(frozenset(map(canonical, tags)))))

    async def _invalidate(self, tags: frozenset[str]) -> None:
        for invalidator in self.all:
            await invalidator.invalidate(tags)


class RedisInvalidator:
    """Publishes invalidations from a process that stores nothing in Redis to those that do.

    While Redis is down, they are published later: writes do not wait for it.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._store.close()

    async def invalidate(self, tags: Iterable[str]) -> None:
        await self._store.invalidate(frozenset(map(canonical, tags)))


LEVEL: Final = "edge"

PURGE_TIMEOUT_S: Final = 0.5
"""The longest that a write waits for the edge."""

REPEAT_AFTER_S: Final = (1.0, 10.0)
"""When a purge is repeated: responses computed before the write may reach the edge after the first purge."""

TICK_S: Final = 0.5

MAX_TAGS: Final = 200
"""Tags in one purge, because header lines are limited; with more, everything is purged."""

EVERYTHING: Final = "*"


class EdgePurger:
    """Purges the edge by surrogate key.

    While the edge is down, purges are kept and repeated until it is up: writes do not wait for it.
    """

    def __init__(
        self,
        *,
        url: str,
        meter: CacheMeter,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        transport = transport or ResolvingTransport(httpx.AsyncHTTPTransport())
        self._client = httpx.AsyncClient(base_url=url, timeout=PURGE_TIMEOUT_S, transport=transport)
        self._meter = meter
        self._clock = clock
        self._failed: dict[str, float] = {}
        self._repeats: list[tuple[float, frozenset[str]]] = []
        self._entered = AsyncExitStack()
        self._is_up = True

    async def __aenter__(self) -> Self:
        await self._entered.enter_async_context(self._client)
        await self._entered.enter_async_context(run_in_background(self._repeat))
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._entered.aclose()

    async def invalidate(self, tags: Iterable[str]) -> None:
        names = frozenset(map(canonical, tags))
        now = self._clock()
        self._repeats.extend((now + delay_s, names) for delay_s in REPEAT_AFTER_S)
        await self._purge(names)

    async def _repeat(self) -> None:
        """Repeat due and failed purges."""
        while True:
            await asyncio.sleep(TICK_S)
            now = self._clock()
            due = set(self._failed).union(*(tags for at, tags in self._repeats if at <= now))
            self._repeats = [(at, tags) for at, tags in self._repeats if at > now]
            if due:
                await self._purge(frozenset(due))

    async def _purge(self, tags: frozenset[str]) -> None:
        """Purge the tags; keep them if that fails."""
        started_at = self._clock()
        started = perf_counter()
        keys = " ".join(sorted(tags)) if len(tags) <= MAX_TAGS else EVERYTHING
        try:
            response = await self._client.request("PURGE", "/", headers={"Surrogate-Key": keys})
            response.raise_for_status()
        except httpx.HTTPError as error:
            self._failed.update(dict.fromkeys(tags, self._clock()))
            self._meter.observe(LEVEL, level=LEVEL, result="error", seconds=perf_counter() - started)
            if self._is_up:
                self._is_up = False
                logger.warning("the edge could not be purged; purges are repeated until it is up: %r", error)
            return
        self._is_up = True
        # Keep what failed while this purge was in progress.
        self._failed = {tag: at for tag, at in self._failed.items() if tag not in tags or at > started_at}
        purged = response.headers.get("X-Purged", "")
        if purged.isdigit():
            self._meter.count_invalidations(LEVEL, level=LEVEL, entries=int(purged))
