"""Single flight: one computation for concurrent requests, and no request is left waiting however it ends."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest

from service.cache.layered import LayeredCache
from service.cache.levels import Levels
from service.cache.lookup import Deliver
from service.cache.lru import EntryLru
from service.cache.memory import MemoryStore
from service.http.cache_model.policy import CachePolicy
from tests.service.conftest import Lookups, entry_with

pytestmark = pytest.mark.anyio

KEY = b"/boards/JFK"
POLICY = CachePolicy(cache="board", technique="response_cache", ttl_s=60, stale_s=60)


class Application:
    """Computes responses slowly and counts the computations."""

    def __init__(self, ending: Callable[[Deliver], Awaitable[None]] | None = None) -> None:
        self.runs = 0
        self.go_on = asyncio.Event()
        self._ending = ending

    async def __call__(self, deliver: Deliver) -> None:
        self.runs += 1
        body = b"%d" % self.runs
        await self.go_on.wait()
        if self._ending is not None:
            await self._ending(deliver)
            return
        await deliver(entry_with(body, tags=("t",), cache=""))


@pytest.fixture(params=[60.0])
def cache(request: pytest.FixtureRequest, lookups: Lookups) -> LayeredCache:
    local = EntryLru(level="local", max_bytes=1_000_000, meter=lookups)
    shared = EntryLru(level="shared", max_bytes=1_000_000, meter=lookups)
    return LayeredCache(Levels(MemoryStore(shared), local=local, meter=lookups), timeout_s=request.param)


async def cached_value(cache: LayeredCache, application: Application) -> bytes | None:
    lookup = await cache.get(KEY, POLICY, application, application)
    await cache.wait_done(lookup)
    return None if lookup.entry is None else lookup.entry.body


async def waiting(cache: LayeredCache, application: Application, count: int) -> list[asyncio.Task[bytes | None]]:
    tasks = [asyncio.create_task(cached_value(cache, application)) for _ in range(count)]
    await asyncio.sleep(0.01)
    return tasks


async def test_twenty_concurrent_requests_cause_one_computation(cache: LayeredCache, lookups: Lookups) -> None:
    application = Application()
    tasks = await waiting(cache, application, 20)
    application.go_on.set()
    assert await asyncio.gather(*tasks) == [b"1"] * 20
    assert application.runs == 1
    assert lookups.results["board", "shared", "miss"] == 1
    assert lookups.results["board", "shared", "coalesced"] == 19


async def test_followers_get_the_result_if_the_leader_disconnects(cache: LayeredCache) -> None:
    application = Application()
    first, *others = await waiting(cache, application, 5)
    first.cancel()
    await asyncio.sleep(0)
    application.go_on.set()
    assert await asyncio.gather(*others) == [b"1"] * 4
    assert first.cancelled()
    assert cache.levels.fresh(KEY) is not None


async def test_a_follower_that_disconnects_cancels_nothing(cache: LayeredCache) -> None:
    application = Application()
    first, second, third = await waiting(cache, application, 3)
    second.cancel()
    application.go_on.set()
    assert [await first, await third] == [b"1"] * 2


async def test_every_request_gets_the_same_exception_and_it_is_not_cached(cache: LayeredCache) -> None:
    async def broken(_: Deliver) -> None:
        raise RuntimeError("no database")

    application = Application(broken)
    tasks = await waiting(cache, application, 5)
    application.go_on.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [str(result) for result in results] == ["no database"] * 5
    assert application.runs == 1


async def test_after_an_exception_the_next_request_computes_again(cache: LayeredCache) -> None:
    async def broken(_: Deliver) -> None:
        raise RuntimeError("no database")

    failing, working = Application(broken), Application()
    failing.go_on.set()
    working.go_on.set()
    with pytest.raises(RuntimeError):
        await cached_value(cache, failing)
    assert await cached_value(cache, working) == b"1"


async def test_an_exception_after_every_client_disconnected_is_logged(
    cache: LayeredCache, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(_: Deliver) -> None:
        raise RuntimeError("no database")

    application = Application(broken)
    (only,) = await waiting(cache, application, 1)
    only.cancel()
    await asyncio.sleep(0)
    with caplog.at_level(logging.ERROR):
        application.go_on.set()
        await asyncio.sleep(0.01)
    assert "no database" in caplog.text


async def test_a_cancelled_computation_leaves_no_request_waiting(cache: LayeredCache) -> None:
    async def aborted(_: Deliver) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    first = Application(aborted)
    leader = asyncio.create_task(cached_value(cache, first))
    await asyncio.sleep(0.01)
    working = Application()
    working.go_on.set()
    followers = await waiting(cache, working, 3)
    first.go_on.set()
    assert await asyncio.gather(*followers) == [b"1"] * 3
    assert working.runs == 1
    assert await leader is None


@pytest.mark.parametrize("cache", [0.5], indirect=True)
async def test_a_computation_that_hangs_is_not_awaited_beyond_the_timeout(cache: LayeredCache) -> None:
    hanging, working = Application(), Application()
    working.go_on.set()
    (stuck,) = await waiting(cache, hanging, 1)
    assert await asyncio.wait_for(cached_value(cache, working), 60) == b"1"
    stuck.cancel()
    hanging.go_on.set()


async def test_a_request_after_a_write_never_gets_an_older_response(cache: LayeredCache) -> None:
    application = Application()
    (before,) = await waiting(cache, application, 1)
    await cache.invalidate(["t"])
    (after,) = await waiting(cache, application, 1)
    application.go_on.set()
    assert await before == b"1"
    assert await after == b"2"
    assert await cached_value(cache, application) == b"2"


async def test_a_computation_overtaken_by_a_write_is_invalidated_and_not_stored(cache: LayeredCache) -> None:
    application = Application()
    pending = asyncio.create_task(cache.get(KEY, POLICY, application, application))
    await asyncio.sleep(0.01)
    await cache.invalidate(["t"])
    application.go_on.set()
    lookup = await pending
    assert lookup.entry is not None
    assert lookup.entry.is_invalidated
    assert cache.levels.fresh(KEY) is None


async def test_a_response_that_may_not_be_shared_is_computed_for_each_request(cache: LayeredCache) -> None:
    async def private(deliver: Deliver) -> None:
        await deliver(None)

    application = Application(private)
    tasks = await waiting(cache, application, 3)
    application.go_on.set()
    entries = await asyncio.gather(*tasks)
    assert entries == [None, None, None]
    assert application.runs == 1, "the others run the application outside the cache"


async def test_an_invalidation_completes_even_if_the_write_is_cancelled(cache: LayeredCache) -> None:
    application = Application()
    application.go_on.set()
    assert await cached_value(cache, application) == b"1"
    writer = asyncio.create_task(cache.invalidate(["t"]))
    await asyncio.sleep(0)
    writer.cancel()
    await asyncio.sleep(0.01)
    assert await cached_value(cache, application) == b"2"


async def test_closing_ends_what_still_runs(cache: LayeredCache) -> None:
    application = Application()
    async with cache:
        (task,) = await waiting(cache, application, 1)
    assert await asyncio.wait_for(task, 1) is None
