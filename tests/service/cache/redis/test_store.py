"""Behaviour that only the store in Redis has."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from service.cache.redis.store import RedisStore, RedisStoreOptions
from tests.servers.redis import RedisServer
from tests.service.conftest import entry_with

pytestmark = pytest.mark.anyio

KEY = b"/boards/JFK"


@pytest.fixture
async def redis(shared_redis: RedisServer) -> AsyncIterator[Redis]:
    async with Redis.from_url(shared_redis.url) as client:
        yield client


@pytest.fixture
async def store(shared_redis: RedisServer, namespace: str) -> AsyncIterator[RedisStore]:
    store = RedisStore(shared_redis.url, RedisStoreOptions(namespace=namespace))
    yield store
    await store.close()


async def kept(store: RedisStore, *, tags: tuple[str, ...] = ("t",), key: bytes = KEY) -> None:
    lease = (await store.fetch(key)).lease
    assert lease is not None
    entry = entry_with(b"[]", tags=tags)
    entry.set_lifetime(now=asyncio.get_running_loop().time(), age_s=0, fresh_s=60, stale_s=60)
    assert await store.put(key, entry, lease)


async def the_entry(redis: Redis, namespace: str) -> bytes:
    (name,) = [name async for name in redis.scan_iter(f"{{{namespace}}}:entry*")]
    return bytes(name)


async def test_an_entry_that_can_not_be_read_is_dropped_and_computed_again(
    store: RedisStore, redis: Redis, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    await kept(store)
    await redis.hset(await the_entry(redis, namespace), "head", b"FD\x63" + bytes(40))
    with caplog.at_level(logging.WARNING):
        fetched = await store.fetch(KEY)
    assert fetched.entry is None
    assert fetched.lease is not None
    assert fetched.lease.is_granted
    assert "another version" in caplog.text


async def test_lost_stamps_make_everything_dead(store: RedisStore, redis: Redis, namespace: str) -> None:
    await kept(store)
    await redis.delete(f"{{{namespace}}}:invalidated")
    assert (await store.fetch(KEY)).was_invalidated


async def test_a_computation_in_progress_when_invalidations_were_lost_is_not_stored(
    store: RedisStore, redis: Redis, namespace: str
) -> None:
    lease = (await store.fetch(KEY)).lease
    assert lease is not None
    await redis.delete(f"{{{namespace}}}:invalidated")
    entry = entry_with(b"[]")
    entry.set_lifetime(now=0, age_s=0, fresh_s=60, stale_s=0)
    assert not await store.put(KEY, entry, lease)


async def test_old_invalidations_are_removed_and_older_entries_with_them(
    shared_redis: RedisServer, redis: Redis, namespace: str
) -> None:
    store = RedisStore(shared_redis.url, RedisStoreOptions(namespace=namespace, retention_s=0.1))
    await kept(store)
    await store.invalidate(frozenset({"old"}))
    await asyncio.sleep(0.15)
    await store.invalidate(frozenset({"new"}))
    stamps = await redis.zrange(f"{{{namespace}}}:invalidated", 0, -1)
    assert set(stamps) == {b" floor", b" clock", b"new"}
    assert (await store.fetch(KEY)).was_invalidated
    await store.close()


async def test_a_clock_that_is_set_back_revives_nothing(store: RedisStore, redis: Redis, namespace: str) -> None:
    lease = (await store.fetch(KEY)).lease
    assert lease is not None
    ahead = int(lease.created_at) + 3_600_000_000
    await redis.zadd(f"{{{namespace}}}:invalidated", {" clock": ahead})
    await kept(store, key=b"/boards/LGA")
    await store.invalidate(frozenset({"t"}))
    assert (await store.fetch(b"/boards/LGA")).entry is None


async def test_processes_with_different_responses_share_invalidations_but_no_entries(
    store: RedisStore, shared_redis: RedisServer, namespace: str
) -> None:
    slim = RedisStore(shared_redis.url, RedisStoreOptions(namespace=namespace, variant="slim"))
    await kept(store)
    assert (await slim.fetch(KEY)).entry is None
    await slim.invalidate(frozenset({"t"}))
    assert (await store.fetch(KEY)).was_invalidated
    await slim.close()


async def test_responses_computed_within_the_replica_lag_grace_are_not_stored(
    shared_redis: RedisServer, namespace: str
) -> None:
    store = RedisStore(shared_redis.url, RedisStoreOptions(namespace=namespace, replica_lag_grace_s=0.2))
    await store.invalidate(frozenset({"t"}))
    lease = (await store.fetch(KEY)).lease
    assert lease is not None
    entry = entry_with(b"[]", tags=("t",))
    entry.set_lifetime(now=0, age_s=0, fresh_s=60, stale_s=0)
    assert not await store.put(KEY, entry, lease)
    await asyncio.sleep(0.25)
    await kept(store)
    await store.close()


async def test_responses_with_headers_too_long_for_a_record_are_served_but_not_stored(store: RedisStore) -> None:
    lease = (await store.fetch(KEY)).lease
    assert lease is not None
    entry = entry_with(b"[]")
    entry.headers = [(b"x", b"y" * 70_000)]
    assert await store.put(KEY, entry, lease)
    following = (await store.fetch(KEY)).lease
    assert following is not None
    assert following.is_granted


async def test_scripts_are_loaded_again_after_a_flush(store: RedisStore, redis: Redis) -> None:
    await kept(store)
    await redis.script_flush()
    assert (await store.fetch(KEY)).entry is not None


async def test_a_lookup_is_one_command_and_its_body_is_sent_as_it_is(
    store: RedisStore, redis: Redis, namespace: str
) -> None:
    await kept(store)
    before = (await redis.info("stats"))["total_commands_processed"]
    fetched = await store.fetch(KEY)
    assert fetched.entry is not None
    # One EVALSHA, which itself runs HMGET, ZSCORE of the floor, ZSCORE of the tag, TIME and PTTL, and this INFO.
    assert (await redis.info("stats"))["total_commands_processed"] - before == 7
    assert await redis.hget(await the_entry(redis, namespace), "identity") == fetched.entry.body
