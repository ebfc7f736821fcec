import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from secrets import token_hex

import pytest

from service.cache.layered import LayeredCache
from service.cache.levels import Levels
from service.cache.lru import EntryLru
from service.cache.redis.store import RedisStore, RedisStoreOptions
from tests.servers.redis import RedisServer
from tests.service.conftest import Lookups

Process = Callable[..., Awaitable[LayeredCache]]


@pytest.fixture
def namespace() -> str:
    return token_hex(4)


@pytest.fixture
async def process(namespace: str, lookups: Lookups) -> AsyncIterator[Process]:
    """Return a factory for the caches of several processes: each has its own connections and LRU."""
    async with AsyncExitStack() as running:

        async def process(server: RedisServer, *, has_local: bool = True, variant: str = "") -> LayeredCache:
            store = RedisStore(server.url, RedisStoreOptions(namespace=namespace, variant=variant, lease_s=2.0))
            local = EntryLru(level="local", max_bytes=1_000_000, meter=lookups) if has_local else None
            cache = LayeredCache(Levels(store, local=local, meter=lookups), timeout_s=2.0)
            return await running.enter_async_context(cache)

        yield process


async def eventually(claim: Callable[[], bool], *, within_s: float) -> None:
    """Return when the claim is true; raise on timeout."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    for _ in range(100_000):
        if claim():
            return
        assert loop.time() < deadline, f"not true within {within_s} s"
        await asyncio.sleep(0.002)


async def until_subscribed(cache: LayeredCache) -> None:
    """Return when the process receives invalidations."""
    await eventually(lambda: cache.levels.store.max_local_age_s > 1, within_s=60)
