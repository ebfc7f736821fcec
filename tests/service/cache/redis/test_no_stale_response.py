"""Readers and writers of several processes on one Redis, also while it restarts."""

import asyncio

import pytest

from tests.servers.redis import RedisServer
from tests.service.cache.redis.conftest import Process, until_subscribed
from tests.service.cache.world import World, hammered
from tests.service.conftest import Lookups

pytestmark = pytest.mark.anyio

LIFETIMES = pytest.mark.parametrize(
    ("ttl_s", "stale_s"), [(10.0, 0.0), (0.005, 10.0)], ids=["long-lived", "always refreshing"]
)


@LIFETIMES
async def test_no_reader_of_any_process_sees_the_past(
    process: Process, shared_redis: RedisServer, lookups: Lookups, *, ttl_s: float, stale_s: float
) -> None:
    world = World(ttl_s=ttl_s, stale_s=stale_s)
    caches = [await process(shared_redis, has_local=False) for _ in range(3)]
    coalesced = ("board", "shared", "coalesced")
    seen = await hammered(
        world,
        caches,
        seconds=1.5,
        enough=lambda counts: counts["304"] > 2 and counts["hit"] > 5 and lookups.results[coalesced] > 2,
    )
    # A process whose write times out at Redis, as on an overloaded machine, publishes the invalidation later.
    assert seen.past_s <= (1.0 if lookups.results["board", "shared", "error"] else 0.0)
    assert world.writes > 5
    assert seen.counts["304"] > 2
    assert seen.counts["hit"] > 5
    assert lookups.results["board", "shared", "coalesced"] > 2


@LIFETIMES
async def test_no_reader_of_a_process_with_a_memory_of_its_own_sees_the_past(
    process: Process, shared_redis: RedisServer, lookups: Lookups, *, ttl_s: float, stale_s: float
) -> None:
    world = World(ttl_s=ttl_s, stale_s=stale_s)
    cache = await process(shared_redis)
    await until_subscribed(cache)
    missed = ("board", "local", "miss")
    seen = await hammered(
        world,
        [cache],
        seconds=1.5,
        enough=lambda counts: counts["304"] > 2 and (bool(stale_s) or lookups.results[missed] < counts.total()),
    )
    assert seen.past_s == 0
    assert world.writes > 5
    assert seen.counts["304"] > 2
    if not stale_s:
        assert lookups.results["board", "local", "miss"] < seen.counts.total()


async def test_no_reader_sees_what_was_a_second_before_the_write_of_another_process(
    process: Process, shared_redis: RedisServer
) -> None:
    world = World(ttl_s=10, stale_s=0)
    caches = [await process(shared_redis) for _ in range(3)]
    for cache in caches:
        await until_subscribed(cache)
    seen = await hammered(world, caches, seconds=2.5, enough=lambda counts: counts["hit"] > 5)
    assert seen.past_s < 1
    assert world.writes > 5
    assert seen.counts["hit"] > 5


@pytest.fixture
def production_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count a Redis that hangs as down after the time of production."""
    monkeypatch.setattr("service.cache.redis.client.RESPONSE_TIMEOUT_S", 0.5)
    monkeypatch.setattr("service.cache.redis.subscription.HEARTBEAT_S", 0.4)


@pytest.mark.usefixtures("production_timeout")
@pytest.mark.parametrize("was_frozen", [False, True], ids=["stopped", "frozen"])
async def test_no_reader_sees_the_past_while_redis_goes_and_comes(
    process: Process, own_redis: RedisServer, lookups: Lookups, *, was_frozen: bool
) -> None:
    world = World(ttl_s=10, stale_s=0)
    cache = await process(own_redis)
    await until_subscribed(cache)

    async def going_and_coming() -> None:
        for _ in range(2):
            await asyncio.sleep(0.5)
            await asyncio.to_thread(own_redis.freeze if was_frozen else own_redis.stop)
            await asyncio.sleep(0.7)
            await asyncio.to_thread(own_redis.thaw if was_frozen else own_redis.start)

    failed = ("board", "shared", "error")
    hammering = hammered(
        world, [cache], seconds=3, enough=lambda counts: counts["hit"] > 5 and lookups.results[failed] > 2
    )
    seen, _ = await asyncio.gather(hammering, going_and_coming())
    assert seen.past_s == 0
    assert world.writes > 5
    assert seen.counts["hit"] > 5
    assert lookups.results["board", "shared", "error"] > 2


@pytest.mark.usefixtures("production_timeout")
async def test_two_seconds_after_a_write_no_process_sees_the_past_whatever_redis_does(
    process: Process, own_redis: RedisServer
) -> None:
    world = World(ttl_s=10, stale_s=0)
    caches = [await process(own_redis) for _ in range(3)]
    for cache in caches:
        await until_subscribed(cache)

    async def going_and_coming() -> None:
        for leave, come in ((own_redis.freeze, own_redis.thaw), (own_redis.stop, own_redis.start)):
            await asyncio.sleep(0.5)
            await asyncio.to_thread(leave)
            await asyncio.sleep(1.0)
            await asyncio.to_thread(come)

    hammering = hammered(world, caches, seconds=4, enough=lambda counts: counts.total() > 50)
    seen, _ = await asyncio.gather(hammering, going_and_coming())
    assert seen.past_s < 2
    assert world.writes > 5
    assert seen.counts.total() > 50
