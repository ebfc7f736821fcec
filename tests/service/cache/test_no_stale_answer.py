"""Readers and writers at once: who asks after a write is done never sees the state before it, by any way.

The way back is every one that the stack has: a hit in either level, a stale entry being refreshed, somebody else's
computation, a compressed variant, a 304 to a client that holds an old validator.
"""

import asyncio
import gzip
import json
from collections import Counter
from collections.abc import Callable
from functools import partial
from random import Random

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from service.cache.layered import LayeredCache
from service.cache.levels import Levels
from service.cache.lru import EntryLru
from service.cache.memory import MemoryStore
from service.cache.middleware import ResponseCacheMiddleware
from service.cache.policy import CachePolicy, PolicyTable
from service.cache.tags import tag_response
from service.compression.middleware import CompressionMiddleware
from service.http_cache import HttpCacheMiddleware
from tests.service.cache.conftest import Lookups, get
from tests.service.compression.conftest import Bodies

pytestmark = pytest.mark.anyio

NAMES = ("EWR", "JFK", "LGA")


class World:
    """A database of versions, an application that reads it slowly, and what writers have finished."""

    def __init__(self, *, ttl_s: float, stale_s: float) -> None:
        self.random = Random(3)
        self.committed = Counter[str]()
        self.finished = Counter[str]()
        self.computations = Counter[str]()
        self.policies = PolicyTable(
            {
                "/boards/{name}": CachePolicy(
                    cache="board", technique="response_cache", ttl_s=ttl_s, stale_s=stale_s, jitter=0.5
                )
            }
        )

    async def board(self, request: Request) -> Response:
        name = request.path_params["name"]
        await asyncio.sleep(self.random.uniform(0, 0.004))
        version = self.committed[name]
        self.computations[name] += 1
        await asyncio.sleep(self.random.uniform(0, 0.004))
        tag_response(request, f"board:{name}")
        return JSONResponse({"version": version, "padding": "x" * 2000})

    def stack(self, cache: LayeredCache) -> ASGIApp:
        routed = Starlette(routes=[Route("/boards/{name}", self.board)])
        cached = ResponseCacheMiddleware(routed, cache=cache, policies=self.policies)
        return CompressionMiddleware(HttpCacheMiddleware(cached, policies=self.policies), meter=Bodies())

    async def write(self, cache: LayeredCache, name: str) -> None:
        await asyncio.sleep(self.random.uniform(0, 0.01))
        self.committed[name] += 1
        version = self.committed[name]
        await asyncio.sleep(self.random.uniform(0, 0.002))
        await cache.invalidate([f"board:{name}"])
        self.finished[name] = max(self.finished[name], version)


class Reader:
    """A client that keeps validators, also old ones, and what they stood for."""

    def __init__(self, world: World, app: ASGIApp) -> None:
        self._world = world
        self._app = app
        self._versions: dict[tuple[str, str], int] = {}
        self.seen: Counter[str] = Counter()

    async def read(self, name: str, accept_encoding: str) -> None:
        headers = {"accept-encoding": accept_encoding}
        held = [etag for of, etag in self._versions if of == name]
        if held and self._world.random.random() < 0.6:
            headers["if-none-match"] = ", ".join(held[-5:])
        at_least = self._world.finished[name]
        got = await get(self._app, f"/boards/{name}", headers)
        if got.status == 304:
            version = self._versions[name, got.headers["etag"]]
        else:
            body = gzip.decompress(got.body) if "content-encoding" in got.headers else got.body
            version = json.loads(body)["version"]
            if "etag" in got.headers:
                self._versions[name, got.headers["etag"]] = version
        assert version >= at_least, f"{got.headers['cache-status']}: {version} after {at_least} was written"
        self.seen[str(got.status)] += 1
        self.seen[got.headers["cache-status"].split(";")[1].strip()] += 1


async def hammered(world: World, caches: list[LayeredCache], *, seconds: float) -> Counter[str]:
    """Let readers and writers of every cache go on at once; return what the readers saw."""
    deadline = asyncio.get_running_loop().time() + seconds
    readers = [Reader(world, world.stack(cache)) for cache in caches for _ in range(8)]

    async def going_on(step: Callable[[], asyncio.Future[None]]) -> None:
        while asyncio.get_running_loop().time() < deadline:
            await step()

    def read(reader: Reader) -> asyncio.Future[None]:
        encoding = world.random.choice(("gzip", "identity"))
        return asyncio.ensure_future(reader.read(world.random.choice(NAMES), encoding))

    def write() -> asyncio.Future[None]:
        return asyncio.ensure_future(world.write(world.random.choice(caches), world.random.choice(NAMES)))

    async with asyncio.TaskGroup() as group:
        for reader in readers:
            group.create_task(going_on(partial(read, reader)))
        for _ in range(3):
            group.create_task(going_on(write))
    return sum((reader.seen for reader in readers), Counter[str]())


@pytest.mark.parametrize("has_local", [True, False], ids=["both levels", "one level"])
@pytest.mark.parametrize(("ttl_s", "stale_s"), [(10.0, 0.0), (0.005, 10.0)], ids=["long-lived", "always refreshing"])
async def test_no_reader_sees_the_past(*, has_local: bool, ttl_s: float, stale_s: float, lookups: Lookups) -> None:
    world = World(ttl_s=ttl_s, stale_s=stale_s)
    local = EntryLru(level="local", max_bytes=1_000_000, meter=lookups) if has_local else None
    store = MemoryStore(EntryLru(level="shared", max_bytes=1_000_000, meter=lookups))
    async with LayeredCache(Levels(store, local=local, meter=lookups)) as cache:
        seen = await hammered(world, [cache], seconds=1.0)
    assert sum(world.finished.values()) > 50
    assert seen["304"] > 20
    assert seen["hit"] > 100
    assert seen["fwd=uri-miss"] > 50
    assert lookups.results["board", "shared", "coalesced"] > 10
    if stale_s:
        assert lookups.results["board", "shared", "stale"] > 50
