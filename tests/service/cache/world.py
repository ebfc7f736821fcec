"""Readers and writers that measure the staleness of responses."""

import asyncio
import gzip
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from service.api.shutdown import ShutdownState
from service.cache.layered import LayeredCache
from service.cache.middleware import ResponseCacheMiddleware
from service.compression.middleware import CompressionMiddleware
from service.delivery.conditional_requests import HttpCacheMiddleware
from service.delivery.hot_responses import HotResponseMiddleware
from service.http.cache_model.policy import CachePolicy, PolicyTable
from service.http.cache_model.tags import tag_response
from tests.service.conftest import Bodies, get, thread_pool

NAMES = ("EWR", "JFK", "LGA")


class World:
    """A database of versions, an application that reads it slowly, and the completed writes."""

    def __init__(self, *, ttl_s: float, stale_s: float) -> None:
        self.random = Random(3)
        self.committed = Counter[str]()
        self.finished: dict[str, list[tuple[float, int]]] = {name: [(0.0, 0)] for name in NAMES}
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
        checked = HttpCacheMiddleware(cached, policies=self.policies)
        compressed = CompressionMiddleware(checked, meter=Bodies(), threads=thread_pool())
        return HotResponseMiddleware(compressed, levels=cache.levels, compression=Bodies(), shutdown=ShutdownState())

    async def write(self, cache: LayeredCache, name: str) -> None:
        await asyncio.sleep(self.random.uniform(0, 0.01))
        self.committed[name] += 1
        version = self.committed[name]
        await asyncio.sleep(self.random.uniform(0, 0.002))
        await cache.invalidate([f"board:{name}"])
        self.finished[name].append((asyncio.get_running_loop().time(), version))

    def past_s(self, name: str, version: int, requested_at: float) -> float:
        """Return how long before the request a newer version was written; 0 if none was."""
        newer = [at for at, written in self.finished[name] if written > version]
        return max(0.0, requested_at - min(newer, default=requested_at))

    @property
    def writes(self) -> int:
        """The number of completed writes."""
        return sum(map(len, self.finished.values())) - len(NAMES)


class Reader:
    """A client that stores validators, old ones too, with their versions."""

    def __init__(self, world: World, app: ASGIApp) -> None:
        self._world = world
        self._app = app
        self._versions: dict[tuple[str, str], int] = {}
        self.seen: Counter[str] = Counter()
        self.past_s = 0.0
        """The greatest staleness of a response: the time since the write that it should have shown."""

    async def read(self, name: str, accept_encoding: str) -> None:
        headers = {"accept-encoding": accept_encoding}
        held = [etag for of, etag in self._versions if of == name]
        if held and self._world.random.random() < 0.6:
            headers["if-none-match"] = ", ".join(held[-5:])
        requested_at = asyncio.get_running_loop().time()
        got = await get(self._app, f"/boards/{name}", headers)
        if got.status == 304:
            version = self._versions[name, got.headers["etag"]]
        else:
            body = gzip.decompress(got.body) if "content-encoding" in got.headers else got.body
            version = json.loads(body)["version"]
            if "etag" in got.headers:
                self._versions[name, got.headers["etag"]] = version
        self.past_s = max(self.past_s, self._world.past_s(name, version, requested_at))
        self.seen[str(got.status)] += 1
        self.seen[got.headers["cache-status"].split(";")[1].strip()] += 1


@dataclass(frozen=True)
class Seen:
    """The results of all readers."""

    counts: Counter[str]
    past_s: float
    """The longest time between a write and a request that still got the state before it."""


async def hammered(
    world: World, caches: list[LayeredCache], *, seconds: float, enough: Callable[[Counter[str]], bool]
) -> Seen:
    """Run readers and writers of every cache concurrently; return the readers' results.

    On a busy machine they run longer than `seconds`: until the readers have seen enough, and six writes are complete.
    """
    loop = asyncio.get_running_loop()
    deadline, last = loop.time() + seconds, loop.time() + 60
    readers = [Reader(world, world.stack(cache)) for cache in caches for _ in range(8)]

    async def going_on(step: Callable[[], asyncio.Future[None]]) -> None:
        while loop.time() < deadline or (not has_enough() and loop.time() < last):
            await step()

    def seen() -> Counter[str]:
        return sum((reader.seen for reader in readers), Counter[str]())

    def has_enough() -> bool:
        return world.writes > 5 and enough(seen())

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
    return Seen(seen(), max(reader.past_s for reader in readers))
