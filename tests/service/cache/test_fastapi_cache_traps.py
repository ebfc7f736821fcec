"""Why this service has its own cache: what fastapi-cache2 does in common use.

Each test demonstrates a trap of that library and the behaviour of this service. If one fails after an update of the
library, the trap is fixed and the choice can be reconsidered.
"""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from secrets import token_hex

import pytest
from fastapi import FastAPI
from fastapi_cache import FastAPICache
from fastapi_cache.backends.inmemory import InMemoryBackend
from fastapi_cache.decorator import cache as cached
from starlette.types import ASGIApp

from service.cache.layered import LayeredCache
from service.cache.levels import Levels
from service.cache.lru import EntryLru
from service.cache.memory import MemoryStore
from service.cache.middleware import ResponseCacheMiddleware
from service.http.cache_model.policy import CachePolicy, PolicyTable
from tests.service.conftest import Lookups, get

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def library() -> Iterator[None]:
    FastAPICache.init(InMemoryBackend(), prefix=token_hex(4))  # all its in-memory backends share one dictionary
    yield
    FastAPICache.reset()


class Calls:
    """Three routes with the same slow handler: decorated in the wrong order, in the right one, not at all."""

    def __init__(self) -> None:
        self.count = 0
        self.app = FastAPI()

        @cached(expire=300)
        @self.app.get("/wrong-order")
        async def wrong_order() -> dict[str, str]:
            return await self.expensive()

        @self.app.get("/right-order")
        @cached(expire=300)
        async def right_order() -> dict[str, str]:
            return await self.expensive()

        @self.app.get("/ours")
        async def ours() -> dict[str, str]:
            return await self.expensive()

    async def expensive(self) -> dict[str, str]:
        self.count += 1
        await asyncio.sleep(0.02)
        return {"data": "result"}

    def with_our_cache(self, lookups: Lookups) -> ASGIApp:
        store = MemoryStore(EntryLru(level="shared", max_bytes=1_000_000, meter=lookups))
        policies = PolicyTable({"/ours": CachePolicy(cache="board", technique="response_cache", ttl_s=300)})
        cache = LayeredCache(Levels(store, local=None, meter=lookups))
        return ResponseCacheMiddleware(self.app, cache=cache, policies=policies)


async def test_the_decorator_above_the_route_as_in_many_samples_keeps_nothing() -> None:
    calls = Calls()
    for _ in range(3):
        assert (await get(calls.app, "/wrong-order")).body == b'{"data":"result"}'
    assert calls.count == 3, "the route was registered before the decorator wrapped it"


async def test_the_decorator_below_the_route_works() -> None:
    calls = Calls()
    for _ in range(3):
        await get(calls.app, "/right-order")
    assert calls.count == 1


async def test_ours_has_no_order_to_get_wrong(lookups: Lookups) -> None:
    calls = Calls()
    app = calls.with_our_cache(lookups)
    for _ in range(3):
        await get(app, "/ours")
    assert calls.count == 1


async def test_twenty_requests_at_once_make_twenty_calls_there_and_one_here(lookups: Lookups) -> None:
    calls = Calls()
    await asyncio.gather(*(get(calls.app, "/right-order") for _ in range(20)))
    assert calls.count == 20
    calls.count = 0
    app = calls.with_our_cache(lookups)
    await asyncio.gather(*(get(app, "/ours") for _ in range(20)))
    assert calls.count == 1


async def test_its_validators_differ_between_processes() -> None:
    program = 'print(hash(b\'{"data": "result"}\'))'
    hashes = set()
    for seed in ("1", "2"):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, stdout=subprocess.PIPE, env={"PYTHONHASHSEED": seed}
        )
        hashes.add((await process.communicate())[0])
    calls = Calls()
    await get(calls.app, "/right-order")
    etag = (await get(calls.app, "/right-order")).headers["etag"]
    salted = hash(b'{"data": "result"}')
    assert etag == f"W/{salted}", "the salted hash of this process, and no valid validator: it lacks its quotes"
    assert len(hashes) == 2
