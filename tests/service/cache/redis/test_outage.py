"""Redis stops, hangs and restarts: responses are slower, correct and counted; no process is restarted."""

import asyncio
import logging

import pytest

from service.cache.layered import LayeredCache
from service.cache.lookup import Deliver
from service.cache.redis.store import RedisStore
from service.http.cache_model.policy import CachePolicy
from tests.polling import eventually_in_loop
from tests.servers.redis import RedisServer
from tests.service.cache.redis.conftest import Process, until_subscribed
from tests.service.conftest import Lookups, entry_with

pytestmark = pytest.mark.anyio

TIMEOUT_S = 0.5
LOOKUPS = 30
POLICY = CachePolicy(cache="board", technique="response_cache", ttl_s=60, stale_s=60)


class Database:
    """One version for every key, read for each computed response."""

    def __init__(self) -> None:
        self.version = 1
        self.reads = 0

    async def load(self, deliver: Deliver) -> None:
        self.reads += 1
        await deliver(entry_with(b"%d" % self.version, tags=("t",), cache=""))

    async def write(self, cache: LayeredCache) -> None:
        self.version += 1
        await cache.invalidate(["t"])


async def cached_value(cache: LayeredCache, database: Database, key: bytes = b"/boards/JFK") -> int:
    fresh = cache.levels.fresh(key)
    if fresh is not None:
        return int(fresh.body)
    lookup = await cache.get(key, POLICY, database.load, database.load)
    await cache.wait_done(lookup)
    assert lookup.entry is not None
    return int(lookup.entry.body)


async def is_used(cache: LayeredCache, database: Database) -> bool:
    """Return whether a response computed now is stored."""
    key = b"/probe/%d" % database.reads
    await cached_value(cache, database, key)
    reads = database.reads
    await cached_value(cache, database, key)
    return database.reads == reads


async def used_again(cache: LayeredCache, database: Database) -> None:
    async with asyncio.timeout(60):
        for _ in range(600):
            if await is_used(cache, database):
                return
            await asyncio.sleep(0.05)
    pytest.fail("the store is not used again")


def back(server: RedisServer, *, was_frozen: bool) -> None:
    if was_frozen:
        server.thaw()
    else:
        server.start()


@pytest.fixture(params=[False, True], ids=["stopped", "frozen"])
def was_frozen(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    if request.param:
        monkeypatch.setattr("service.cache.redis.client.RESPONSE_TIMEOUT_S", TIMEOUT_S)
        monkeypatch.setattr("service.cache.redis.subscription.HEARTBEAT_S", 0.4)
    return bool(request.param)


def away(server: RedisServer, *, was_frozen: bool) -> None:
    if was_frozen:
        server.freeze()
    else:
        server.stop()


async def test_while_redis_is_down_responses_are_computed_and_afterwards_cached_again(
    process: Process, own_redis: RedisServer, lookups: Lookups, *, was_frozen: bool
) -> None:
    database = Database()
    cache = await process(own_redis, has_local=False)
    assert await is_used(cache, database)
    away(own_redis, was_frozen=was_frozen)
    began = asyncio.get_running_loop().time()
    for number in range(LOOKUPS):
        assert await cached_value(cache, database, b"/%d" % number) == 1
    assert asyncio.get_running_loop().time() - began < LOOKUPS * TIMEOUT_S, "after a few timeouts Redis is left alone"
    assert lookups.results["board", "shared", "error"] >= LOOKUPS
    assert not await is_used(cache, database)
    back(own_redis, was_frozen=was_frozen)
    await used_again(cache, database)


async def test_a_service_that_starts_without_redis_uses_it_once_it_is_there(
    process: Process, own_redis: RedisServer
) -> None:
    database = Database()
    own_redis.stop()
    cache = await process(own_redis)
    assert await cached_value(cache, database) == 1
    own_redis.start()
    await until_subscribed(cache)
    await used_again(cache, database)


async def test_a_write_while_redis_is_down_leaves_no_stale_entry(
    process: Process, own_redis: RedisServer, *, was_frozen: bool
) -> None:
    database = Database()
    writer, reader = await process(own_redis), await process(own_redis)
    for cache in (writer, reader):
        await until_subscribed(cache)
        assert await cached_value(cache, database) == 1
    away(own_redis, was_frozen=was_frozen)
    async with asyncio.timeout(60):
        await database.write(writer)
    assert await cached_value(writer, database) == 2
    await eventually_in_loop(lambda: reader.levels.fresh(b"/boards/JFK") is None)
    assert await cached_value(reader, database) == 2
    back(own_redis, was_frozen=was_frozen)
    for cache in (writer, reader):
        await used_again(cache, database)
        assert await cached_value(cache, database) == 2


async def test_a_process_that_cannot_reach_redis_publishes_its_invalidations_later(
    process: Process, own_redis: RedisServer
) -> None:
    database = Database()
    writer, reader = [await process(own_redis) for _ in range(2)]
    for cache in (writer, reader):
        await until_subscribed(cache)
        assert await cached_value(cache, database) == 1
    assert isinstance(writer.levels.store, RedisStore)
    writer.levels.store._client.go_down()
    await database.write(writer)
    assert await cached_value(writer, database) == 2
    assert await cached_value(reader, database) == 1, "no invalidation could be delivered"
    await eventually_in_loop(lambda: reader.levels.fresh(b"/boards/JFK") is None)
    assert await cached_value(reader, database) == 2


async def test_invalidations_lost_with_a_killed_process_leave_no_stale_entry_in_others(
    process: Process, own_redis: RedisServer
) -> None:
    database = Database()
    dying, reader = [await process(own_redis, has_local=False) for _ in range(2)]
    assert await cached_value(dying, database) == 1
    own_redis.stop()
    await database.write(dying)
    await dying.__aexit__()
    for number in range(5):
        await cached_value(reader, database, b"/%d" % number)
    own_redis.start()
    await used_again(reader, database)
    assert await cached_value(reader, database) == 2


async def test_a_computation_across_an_outage_with_a_write_is_not_kept(
    process: Process, own_redis: RedisServer
) -> None:
    database = Database()
    cache = await process(own_redis, has_local=False)
    gate = asyncio.Event()

    async def slow(deliver: Deliver) -> None:
        read = database.version
        await gate.wait()
        await deliver(entry_with(b"%d" % read, tags=("t",), cache=""))

    computing = asyncio.create_task(cache.get(b"/boards/JFK", POLICY, slow, slow))
    await asyncio.sleep(0.05)
    own_redis.stop()
    await database.write(cache)
    own_redis.start()
    await used_again(cache, database)
    gate.set()
    await computing
    assert await cached_value(cache, database) == 2


async def test_entries_invalidated_while_disconnected_are_not_served_afterwards(
    process: Process, own_redis: RedisServer
) -> None:
    database = Database()
    reader = await process(own_redis)
    await until_subscribed(reader)
    assert await cached_value(reader, database) == 1
    own_redis.stop()
    own_redis.start()
    # Redis is up before the reader has noticed; a process that starts now publishes while the reader is not subscribed.
    other = await process(own_redis)
    await database.write(other)
    await eventually_in_loop(lambda: reader.levels.fresh(b"/boards/JFK") is None)
    assert await cached_value(reader, database) == 2


async def test_more_invalidations_than_can_be_remembered_invalidate_everything(
    process: Process, own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.cache.redis.store.MAX_PENDING", 3)
    database = Database()
    cache, other = [await process(own_redis) for _ in range(2)]
    for one in (cache, other):
        await until_subscribed(one)
        assert await cached_value(one, database) == 1
    own_redis.stop()
    database.version += 1
    await cache.invalidate(["t", "a", "b", "c"])
    own_redis.start()
    for one in (cache, other):
        await used_again(one, database)
        assert await cached_value(one, database) == 2


async def test_an_outage_is_logged_once_and_its_end_too(
    process: Process, own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database()
    cache = await process(own_redis, has_local=False)
    with caplog.at_level(logging.WARNING, "service.cache.redis.client"):
        own_redis.stop()
        for number in range(20):
            await cached_value(cache, database, b"/%d" % number)
        own_redis.start()
        await used_again(cache, database)
    lines = [record.getMessage() for record in caplog.records if record.name == "service.cache.redis.client"]
    assert len(lines) == 2
    assert lines[0].startswith("the shared cache is down")
    assert lines[1] == "the shared cache is up"
