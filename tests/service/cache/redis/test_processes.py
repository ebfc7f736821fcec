"""Several processes on one Redis."""

import asyncio

import pytest

from service.cache.layered import LayeredCache
from service.cache.levels import Levels
from service.cache.lookup import Deliver
from service.cache.lru import EntryLru
from service.cache.redis.store import RedisStore, RedisStoreOptions
from service.http.cache_model.policy import CachePolicy
from tests.polling import eventually_in_loop
from tests.servers.redis import RedisServer
from tests.service.cache.redis.conftest import Process, until_subscribed
from tests.service.conftest import Lookups, entry_with

pytestmark = pytest.mark.anyio

KEY = b"/boards/JFK"
POLICY = CachePolicy(cache="board", technique="response_cache", ttl_s=60, stale_s=60)


LONG_S = 60.0
"""A timeout, and a lease, beyond every pause of a busy machine."""


class Application:
    """Computes a response as soon as it may, and counts the computations."""

    def __init__(self) -> None:
        self.runs = 0
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def __call__(self, deliver: Deliver) -> None:
        self.runs += 1
        body = b"%d" % self.runs
        await self.go_on.wait()
        await deliver(entry_with(body, tags=("t",), cache=""))


async def cached_value(cache: LayeredCache, application: Application) -> bytes:
    fresh = cache.levels.fresh(KEY)
    if fresh is not None:
        return fresh.body
    lookup = await cache.get(KEY, POLICY, application, application)
    await cache.wait_done(lookup)
    assert lookup.entry is not None
    return lookup.entry.body


async def test_what_one_process_computed_all_send(process: Process, shared_redis: RedisServer) -> None:
    application = Application()
    caches = [await process(shared_redis) for _ in range(3)]
    assert [await cached_value(cache, application) for cache in caches] == [b"1"] * 3


async def test_processes_that_miss_at_once_compute_once(
    process: Process, shared_redis: RedisServer, lookups: Lookups
) -> None:
    application = Application()
    application.go_on.clear()
    caches = [await process(shared_redis, timeout_s=LONG_S) for _ in range(4)]
    for cache in caches:
        await until_subscribed(cache)
    readers = [asyncio.create_task(cached_value(cache, application)) for cache in caches for _ in range(5)]
    await eventually_in_loop(lambda: application.runs)
    await asyncio.sleep(0.1)  # in which the others find the lease taken
    application.go_on.set()
    values = await asyncio.gather(*readers)
    assert set(values) == {b"1"}
    assert application.runs == 1
    assert lookups.results["board", "shared", "miss"] == 1
    assert lookups.results["board", "shared", "coalesced"] == 19


async def test_when_the_computing_process_vanishes_another_one_computes(
    process: Process, shared_redis: RedisServer
) -> None:
    vanishing = await process(shared_redis, timeout_s=0.5)
    lease = (await vanishing.levels.store.fetch(KEY)).lease
    assert lease is not None
    assert lease.is_granted
    application = Application()
    async with asyncio.timeout(60):
        assert await cached_value(await process(shared_redis, timeout_s=0.5), application) == b"1"


async def test_an_invalidation_reaches_the_memory_of_every_process_within_a_second(
    process: Process, shared_redis: RedisServer
) -> None:
    application = Application()
    caches = [await process(shared_redis) for _ in range(3)]
    for cache in caches:
        await until_subscribed(cache)
        assert await cached_value(cache, application) == b"1"
        assert cache.levels.fresh(KEY) is not None
    await caches[0].invalidate(["t"])
    assert caches[0].levels.fresh(KEY) is None, "at once in the process that wrote"
    await eventually_in_loop(lambda: not any(cache.levels.fresh(KEY) for cache in caches))
    assert [await cached_value(cache, application) for cache in caches] == [b"2"] * 3


async def test_only_one_process_refreshes_a_stale_entry(process: Process, shared_redis: RedisServer) -> None:
    brief = CachePolicy(cache="board", technique="response_cache", ttl_s=0.05, stale_s=600, jitter=0)
    application = Application()
    caches = [await process(shared_redis, has_local=False, timeout_s=LONG_S) for _ in range(4)]

    async def once(cache: LayeredCache) -> bytes:
        lookup = await cache.get(KEY, brief, application, application)
        assert lookup.entry is not None
        return lookup.entry.body

    assert await once(caches[0]) == b"1"
    application.go_on.clear()
    await asyncio.sleep(0.1)
    assert await asyncio.gather(*(once(cache) for cache in caches)) == [b"1"] * 4
    await eventually_in_loop(lambda: application.runs == 2)
    assert await asyncio.gather(*(once(cache) for cache in caches)) == [b"1"] * 4
    await asyncio.sleep(0.05)
    assert application.runs == 2
    application.go_on.set()


async def test_a_process_without_subscription_serves_its_copies_for_a_second(
    shared_redis: RedisServer, namespace: str, lookups: Lookups
) -> None:
    store = RedisStore(shared_redis.url, RedisStoreOptions(namespace=namespace))
    local = EntryLru(level="local", max_bytes=1_000_000, meter=lookups)
    unsubscribed = LayeredCache(Levels(store, local=local, meter=lookups))
    assert await cached_value(unsubscribed, Application()) == b"1"
    entry = unsubscribed.levels.fresh(KEY)
    assert entry is not None
    assert entry.fresh_until - unsubscribed.levels.clock() <= 1
    await store.close()
