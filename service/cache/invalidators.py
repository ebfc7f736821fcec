"""The edge in front of the service: told by surrogate key what writes make stale."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from time import monotonic, perf_counter
from typing import Any, Final, Protocol

import httpx

from service.cache.meter import CacheMeter
from service.cache.store import Store
from service.http.cache_model.tags import canonical
from service.network.resolving_transport import ResolvingTransport


class Invalidator(Protocol):
    """What the write path knows of caches."""

    async def invalidate(self, tags: Iterable[str]) -> None:
        """Return when no response with one of the tags can be served any more."""


class RedisInvalidator:
    """A cache whose invalidations reach the processes that share a store, though it keeps nothing there itself."""

    def __init__(self, inner: Invalidator, store: Store) -> None:
        self._inner = inner
        self._store = store
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "RedisInvalidator":
        return self

    async def __aexit__(self, *exc: object) -> None:
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._store.close()

    async def invalidate(self, tags: Iterable[str]) -> None:
        """Make every answer with one of the tags unusable, here and in the store, even if the caller is cancelled.

        While the store does not answer, it is told later: the write does not wait for it.
        """
        names = frozenset(map(canonical, tags))
        await self._inner.invalidate(names)
        task = asyncio.create_task(self._store.invalidate(names))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await asyncio.shield(task)


logger = logging.getLogger(__name__)

LEVEL: Final = "edge"

PURGE_S: Final = 0.5
"""Longest wait of a write for the edge."""

AGAIN_S: Final = (1.0, 10.0)
"""When the same is purged once more: answers that were computed before the write may reach the edge after it."""

TICK_S: Final = 0.5

MOST_TAGS: Final = 200
"""Tags in one purge: a header line has a limit, and beyond it everything is purged."""

EVERYTHING: Final = "*"


class EdgePurger:
    """A cache whose invalidations reach the edge too, as soon as the edge can be reached."""

    def __init__(
        self,
        inner: Invalidator,
        *,
        url: str,
        meter: CacheMeter,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._inner = inner
        transport = transport or ResolvingTransport(httpx.AsyncHTTPTransport())
        self._client = httpx.AsyncClient(base_url=url, timeout=PURGE_S, transport=transport)
        self._meter = meter
        self._clock = clock
        self._missed: dict[str, float] = {}
        self._again: list[tuple[float, frozenset[str]]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_reached = True

    async def __aenter__(self) -> "EdgePurger":
        self._hold(self._repeated())
        return self

    async def __aexit__(self, *exc: object) -> None:
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._client.aclose()

    async def invalidate(self, tags: Iterable[str]) -> None:
        """Make every answer with one of the tags unusable, here and at the edge, even if the caller is cancelled.

        An edge that does not answer in time is told later: the write does not wait for it.
        """
        names = tuple(tags)
        await self._inner.invalidate(names)
        await asyncio.shield(self._hold(self._told(frozenset(map(canonical, names)))))

    async def _told(self, tags: frozenset[str]) -> None:
        now = self._clock()
        self._again.extend((now + delay_s, tags) for delay_s in AGAIN_S)
        await self._purged(tags)

    async def _repeated(self) -> None:
        """Purge again what is due, and what the edge has missed."""
        while True:
            await asyncio.sleep(TICK_S)
            now = self._clock()
            due = set(self._missed).union(*(tags for at, tags in self._again if at <= now))
            self._again = [(at, tags) for at, tags in self._again if at > now]
            if due:
                await self._purged(frozenset(due))

    async def _purged(self, tags: frozenset[str]) -> None:
        """Purge the tags now; remember them if that fails."""
        began = self._clock()
        started = perf_counter()
        keys = " ".join(sorted(tags)) if len(tags) <= MOST_TAGS else EVERYTHING
        try:
            response = await self._client.request("PURGE", "/", headers={"Surrogate-Key": keys})
            response.raise_for_status()
        except httpx.HTTPError as error:
            self._missed.update(dict.fromkeys(tags, self._clock()))
            self._meter.observe(LEVEL, level=LEVEL, result="error", seconds=perf_counter() - started)
            if self._is_reached:
                self._is_reached = False
                logger.warning("the edge could not be purged; it is tried again: %r", error)
            return
        self._is_reached = True
        # What was missed while this purge was under way is still missing.
        self._missed = {tag: at for tag, at in self._missed.items() if tag not in tags or at > began}
        purged = response.headers.get("X-Purged", "")
        if purged.isdigit():
            self._meter.count_invalidations(LEVEL, level=LEVEL, entries=int(purged))

    def _hold(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
