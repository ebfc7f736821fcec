"""Writes of a process that keeps nothing in the shared cache, told to those that do."""

import asyncio
from collections.abc import Iterable

from service.cache.null import Invalidates
from service.cache.store import Store
from service.cache.tags import canonical


class AnnouncingCache:
    """A cache whose invalidations reach the processes that share a store, though it keeps nothing there itself."""

    def __init__(self, inner: Invalidates, store: Store) -> None:
        self._inner = inner
        self._store = store
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "AnnouncingCache":
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
