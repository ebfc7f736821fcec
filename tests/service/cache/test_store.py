"""The contract of every store, run over each implementation."""

import asyncio
from collections.abc import AsyncIterator
from secrets import token_hex
from time import monotonic

import pytest
from redis.asyncio import Redis

from service.cache.lru import EntryLru
from service.cache.memory import MemoryStore
from service.cache.redis.store import RedisStore, RedisStoreOptions
from service.cache.store import Lease, Store
from service.http.cache_model.entry import Entry
from tests.servers.redis import RedisServer
from tests.service.conftest import Clock, Lookups, entry_with

pytestmark = pytest.mark.anyio

KEY = b"/boards/JFK?date=2013-01-01"
LEASE_S = 100.0


class Unheard:
    """A process without entries of its own."""

    def drop(self, tags: frozenset[str]) -> None:
        pass

    def drop_all(self) -> None:
        pass


class Time:
    """The time of a store: of a clock that the test advances, and of a server's keys, whose lives it shortens.

    A server's time passes too: what a test does within a lifetime takes much less on the busiest machine.
    """

    def __init__(self, clock: Clock, server: RedisServer | None, namespace: str) -> None:
        self._clock = clock
        self._server = server
        self._namespace = namespace

    async def pass_s(self, seconds: float) -> None:
        self._clock.advance(seconds)
        if self._server is None:
            return
        async with Redis.from_url(self._server.url) as redis:
            async for name in redis.scan_iter(f"{{{self._namespace}}}:*"):
                left_ms = await redis.pttl(name)
                if left_ms >= 0:
                    await redis.pexpire(name, left_ms - int(seconds * 1000))
                if b":entry" in name and await redis.exists(name):
                    await redis.hincrby(name, "fresh", -int(seconds * 1e6))


@pytest.fixture(params=["memory", "redis"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def server(kind: str, request: pytest.FixtureRequest) -> RedisServer | None:
    found: RedisServer | None = request.getfixturevalue("shared_redis") if kind == "redis" else None
    return found


@pytest.fixture
def namespace() -> str:
    return token_hex(4)


@pytest.fixture
def time(clock: Clock, server: RedisServer | None, namespace: str) -> Time:
    return Time(clock, server, namespace)


@pytest.fixture
async def store(lookups: Lookups, clock: Clock, server: RedisServer | None, namespace: str) -> AsyncIterator[Store]:
    store: Store
    if server is None:
        entries = EntryLru(level="shared", max_bytes=1_000_000, meter=lookups)
        store = MemoryStore(entries, lease_s=LEASE_S, clock=clock)
    else:
        store = RedisStore(server.url, RedisStoreOptions(namespace=namespace, lease_s=LEASE_S), clock=clock)
    await store.open(Unheard())
    yield store
    await store.close()


async def leased(store: Store, key: bytes = KEY) -> Lease:
    fetched = await store.fetch(key)
    assert fetched.lease is not None
    assert fetched.lease.is_granted
    return fetched.lease


def living(clock: Clock, *, fresh_s: float = 60.0, stale_s: float = 0.0, tags: tuple[str, ...] = ("t",)) -> Entry:
    entry = entry_with(b'{"flights": []}', tags=tags)
    entry.set_lifetime(now=clock(), age_s=0.0, fresh_s=fresh_s, stale_s=stale_s)
    return entry


async def kept(store: Store, entry: Entry, key: bytes = KEY) -> None:
    assert await store.put(key, entry, await leased(store, key))


async def test_an_entry_comes_back_as_it_was_put(store: Store, clock: Clock) -> None:
    entry = living(clock)
    began = monotonic()
    await kept(store, entry)
    fetched = await store.fetch(KEY)
    found = fetched.entry
    assert found is not None
    assert found.on_variant, "a new variant is reported to the store"
    assert fetched.lease is None
    assert (found.status, found.headers, found.body) == (entry.status, entry.headers, entry.body)
    assert (found.tags, found.digest, found.template, found.cache) == (
        entry.tags,
        entry.digest,
        entry.template,
        entry.cache,
    )
    assert found.fresh_until == pytest.approx(entry.fresh_until, abs=0.1 + monotonic() - began)


async def test_one_lease_at_a_time(store: Store, clock: Clock) -> None:
    lease = await leased(store)
    second = (await store.fetch(KEY)).lease
    assert second is not None
    assert not second.is_granted
    assert await store.put(KEY, living(clock), lease)
    assert (await store.fetch(KEY)).entry is not None


async def test_an_abandoned_lease_expires(store: Store, time: Time) -> None:
    await leased(store)
    await time.pass_s(LEASE_S + 1)
    await leased(store)


async def test_a_released_lease_is_free_at_once_or_after_a_while(store: Store, time: Time) -> None:
    await store.release(KEY, await leased(store))
    lease = await leased(store)
    await store.release(KEY, lease, hold_s=50)
    held = (await store.fetch(KEY)).lease
    assert held is not None
    assert not held.is_granted
    await time.pass_s(51)
    await leased(store)


async def test_a_lease_is_released_by_its_holder_only(store: Store, time: Time) -> None:
    late = await leased(store)
    await time.pass_s(LEASE_S + 1)
    await leased(store)
    await store.release(KEY, late)
    third = (await store.fetch(KEY)).lease
    assert third is not None
    assert not third.is_granted


async def test_an_entry_is_fresh_then_stale_with_one_lease_then_expired(store: Store, clock: Clock, time: Time) -> None:
    await kept(store, living(clock, fresh_s=60, stale_s=120))
    await time.pass_s(90)
    stale = await store.fetch(KEY)
    assert stale.entry is not None
    assert stale.lease is not None
    assert stale.lease.is_granted
    again = await store.fetch(KEY)
    assert again.entry is not None
    assert again.lease is not None
    assert not again.lease.is_granted
    await time.pass_s(120)
    assert (await store.fetch(KEY)).entry is None


async def test_invalidation_ends_exactly_what_carries_a_tag(store: Store, clock: Clock) -> None:
    await kept(store, living(clock, tags=("a", "b")), b"1")
    await kept(store, living(clock, tags=("b",)), b"2")
    await kept(store, living(clock, tags=("c",)), b"3")
    await kept(store, living(clock, tags=()), b"4")
    await store.invalidate(frozenset({"a"}))
    alive = {key for key in (b"1", b"2", b"3", b"4") if (await store.fetch(key)).entry is not None}
    assert alive == {b"2", b"3", b"4"}


async def test_an_invalidated_entry_is_not_even_stale(store: Store, clock: Clock, time: Time) -> None:
    await kept(store, living(clock, fresh_s=60, stale_s=600))
    await time.pass_s(90)
    await store.invalidate(frozenset({"t"}))
    assert (await store.fetch(KEY)).entry is None


async def test_a_computation_that_a_write_overtook_is_not_kept(store: Store, clock: Clock) -> None:
    lease = await leased(store)
    await store.invalidate(frozenset({"t"}))
    assert not await store.put(KEY, living(clock), lease)
    assert (await store.fetch(KEY)).entry is None
    assert await store.put(KEY, living(clock, tags=("other",)), lease)


async def test_a_computation_after_the_write_is_kept(store: Store, clock: Clock) -> None:
    await store.invalidate(frozenset({"t"}))
    await kept(store, living(clock))
    assert (await store.fetch(KEY)).entry is not None


async def test_a_late_computation_does_not_replace_a_newer_one(store: Store, clock: Clock, time: Time) -> None:
    late = await leased(store)
    await time.pass_s(LEASE_S + 1)
    newer = living(clock)
    newer.body = b"newer"
    await kept(store, newer)
    assert await store.put(KEY, living(clock), late)
    found = (await store.fetch(KEY)).entry
    assert found is not None
    assert found.body == b"newer"


async def test_a_variant_is_kept_with_its_entry(store: Store, clock: Clock) -> None:
    await kept(store, living(clock))
    first = (await store.fetch(KEY)).entry
    assert first is not None
    first.add_variant("zstd", b"smaller")
    async with asyncio.timeout(60):
        while (second := (await store.fetch(KEY)).entry) is not None and not second.variants:  # noqa: ASYNC110 the store has no event to wait for
            await asyncio.sleep(0.002)
    assert second is not None
    assert second.variants == {"zstd": b"smaller"}


async def test_a_variant_of_an_older_entry_is_not_kept_with_the_newer_one(store: Store, clock: Clock) -> None:
    await kept(store, living(clock))
    older = (await store.fetch(KEY)).entry
    assert older is not None
    await store.invalidate(frozenset({"t"}))
    await kept(store, living(clock))
    older.add_variant("zstd", b"of the older one")
    await asyncio.sleep(0.05)
    newer = (await store.fetch(KEY)).entry
    assert newer is not None
    assert newer.variants == {}


async def test_an_invalidated_entry_is_reported_once(store: Store, clock: Clock, lookups: Lookups) -> None:
    await kept(store, living(clock))
    await store.invalidate(frozenset({"t"}))
    found = [(await store.fetch(KEY)).was_invalidated for _ in range(3)]
    assert sum(found) + lookups.invalidations["board", "shared"] == 1
