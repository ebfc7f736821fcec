from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from secrets import token_hex

import pytest

from service.cache.layered import LayeredCache
from service.cache.levels import Levels
from service.cache.lru import EntryLru
from service.cache.redis.store import RedisStore, RedisStoreOptions
from tests.polling import eventually_in_loop
from tests.servers.redis import RedisServer
from tests.service.conftest import Lookups

Process = Callable[..., Awaitable[LayeredCache]]


@pytest.fixture
def namespace() -> str:
    return token_hex(4)


@pytest.fixture
async def process(namespace: str, lookups: Lookups) -> AsyncIterator[Process]:
    """Return a factory for the caches of several processes: each has its own connections and LRU.

    Requests wait `timeout_s` for a computation, which is as long as the lease of another process.
    """
    async with AsyncExitStack() as running:

        async def process(server: RedisServer, *, has_local: bool = True, timeout_s: float = 2.0) -> LayeredCache:
            store = RedisStore(server.url, RedisStoreOptions(namespace=namespace, lease_s=timeout_s))
            local = EntryLru(level="local", max_bytes=1_000_000, meter=lookups) if has_local else None
            cache = LayeredCache(Levels(store, local=local, meter=lookups), timeout_s=timeout_s)
            return await running.enter_async_context(cache)

        yield process


async def until_subscribed(cache: LayeredCache) -> None:
    """Return when the process receives invalidations."""
    await eventually_in_loop(lambda: cache.levels.store.max_local_age_s > 1)
