"""Repeated responses are the same as those of all middleware, and end with their entry."""

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from observability.request.route import route_template
from service.api.shutdown import ShutdownState
from service.cache.layered import LayeredCache
from service.cache.levels import Levels
from service.cache.lru import EntryLru
from service.cache.memory import MemoryStore
from service.cache.middleware import ResponseCacheMiddleware
from service.cache.status import hit_headers
from service.compression.middleware import CompressionMiddleware
from service.delivery.conditional_requests import HttpCacheMiddleware
from service.delivery.hot_responses import HotResponseMiddleware
from service.http.cache_model.policy import CachePolicy, PolicyTable
from service.http.cache_model.tags import tag_response
from tests.service.conftest import Bodies, Clock, Lookups, get, thread_pool

pytestmark = pytest.mark.anyio

POLICIES = PolicyTable(
    {"/boards/{name}": CachePolicy(cache="board", technique="response_cache", ttl_s=60, stale_s=60, jitter=0)}
)
ZSTD = {"accept-encoding": "zstd"}


class Whole:
    """The whole middleware stack; counts the requests that reach it."""

    def __init__(self, levels: Levels) -> None:
        self.taken = 0
        self.version = 1
        self.cache = LayeredCache(levels)
        self.bodies = Bodies()
        self.shutdown = ShutdownState()
        self.extra_headers: list[tuple[bytes, bytes]] = []
        cached = ResponseCacheMiddleware(
            Starlette(routes=[Route("/boards/{name}", self.board)]), cache=self.cache, policies=POLICIES
        )
        self._inner = CompressionMiddleware(
            HttpCacheMiddleware(cached, policies=POLICIES), meter=self.bodies, threads=thread_pool()
        )
        self.app: ASGIApp = HotResponseMiddleware(self, levels=levels, compression=self.bodies, shutdown=self.shutdown)

    async def board(self, request: Request) -> Response:
        tag_response(request, "t")
        return PlainTextResponse(f"version {self.version} " * 200)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.taken += 1

        async def with_extra(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *self.extra_headers]}
            await send(message)

        await self._inner(scope, receive, with_extra)


@pytest.fixture
def whole(lookups: Lookups, clock: Clock) -> Whole:
    entries = EntryLru(level="local", max_bytes=1_000_000, meter=lookups)
    return Whole(Levels(MemoryStore(entries, clock=clock), local=None, meter=lookups, clock=clock))


async def test_from_the_third_request_on_the_same_response_is_served_at_once(
    whole: Whole, lookups: Lookups, clock: Clock
) -> None:
    await get(whole.app, "/boards/JFK", ZSTD)
    on_the_whole_way = await get(whole.app, "/boards/JFK", ZSTD)
    clock.advance(7)
    again = [await get(whole.app, "/boards/JFK", ZSTD) for _ in range(3)]
    assert whole.taken == 2
    for got in again:
        assert got.body == on_the_whole_way.body
        assert got.headers == {
            **on_the_whole_way.headers,
            "age": "7",
            "cache-status": "flightdeck; hit; ttl=52; detail=local",
        }
    assert lookups.results["board", "local", "hit"] == 4
    assert [(encoding, seconds > 0) for encoding, *_, seconds in whole.bodies.seen] == [
        ("zstd", True),
        *[("zstd", False)] * 4,
    ]
    assert len(set(whole.bodies.seen[1:])) == 1


async def test_each_accept_encoding_has_its_own_response(whole: Whole) -> None:
    for _ in range(3):
        zstd, plain = await get(whole.app, "/boards/JFK", ZSTD), await get(whole.app, "/boards/JFK")
        assert (zstd.headers.get("content-encoding"), plain.headers.get("content-encoding")) == ("zstd", None)
    assert whole.taken == 3, "once computed, once as a hit for each"
    assert {encoding for encoding, *_ in whole.bodies.seen} == {"zstd", "identity"}


async def test_a_write_ends_it(whole: Whole) -> None:
    for _ in range(3):
        await get(whole.app, "/boards/JFK")
    whole.version = 2
    await whole.cache.invalidate(["t"])
    assert b"version 2" in (await get(whole.app, "/boards/JFK")).body


async def test_so_does_time(whole: Whole, clock: Clock) -> None:
    for _ in range(3):
        await get(whole.app, "/boards/JFK")
    clock.advance(61)
    await get(whole.app, "/boards/JFK")
    assert whole.taken == 3


@pytest.mark.parametrize("name", ["if-none-match", "authorization", "range", "content-length"])
async def test_personal_and_conditional_requests_use_every_middleware(whole: Whole, name: str) -> None:
    etag = [await get(whole.app, "/boards/JFK") for _ in range(3)][-1].headers["etag"]
    assert whole.taken == 2
    got = await get(whole.app, "/boards/JFK", {name: etag})
    assert whole.taken == 3
    assert got.status == (304 if name == "if-none-match" else 200)


@pytest.mark.parametrize(
    "header", [(b"vary", b"Accept-Encoding, Origin"), (b"vary", b"Origin"), (b"set-cookie", b"id=1")]
)
async def test_a_response_that_depends_on_the_client_is_not_repeated(whole: Whole, header: tuple[bytes, bytes]) -> None:
    whole.extra_headers = [header]
    for _ in range(4):
        await get(whole.app, "/boards/JFK")
    assert whole.taken == 4


async def test_other_spellings_of_accept_encoding_share_a_response(whole: Whole) -> None:
    for number in range(30):
        await get(whole.app, "/boards/JFK", {"accept-encoding": f"zstd, x-{number}"})
        await get(whole.app, "/boards/JFK", {"accept-encoding": f"x-{number};q=0.{number}"})
    entry = whole.cache.levels.fresh(b"/boards/JFK")
    assert entry is not None
    assert set(entry.wire_variants) == {("zstd", True), ("identity", True)}
    before = whole.taken
    for header in ("gzip, deflate, br, zstd", "zstd;q=0.9, gzip;q=0.1", "", "identity"):
        await get(whole.app, "/boards/JFK", {"accept-encoding": header})
    assert whole.taken == before, "real browsers are served at once"


async def test_responses_are_shared_only_where_the_coding_and_identity_agree(whole: Whole) -> None:
    for header in ("zstd", "br", "gzip", "identity", "zstd, identity;q=0", "br, identity;q=0", "gzip, *;q=0"):
        responses = [await get(whole.app, "/boards/JFK", {"accept-encoding": header}) for _ in range(3)]
        codings = {response.headers.get("content-encoding", "identity") for response in responses}
        assert codings == {header.partition(",")[0]}
    entry = whole.cache.levels.fresh(b"/boards/JFK")
    assert entry is not None
    assert len(entry.wire_variants) == 7


async def test_a_repeated_response_has_its_route_template(whole: Whole) -> None:
    templates: list[str] = []

    async def outer(scope: Scope, receive: Receive, send: Send) -> None:
        await whole.app(scope, receive, send)
        templates.append(route_template(scope))

    for _ in range(4):
        await get(outer, "/boards/JFK")
    assert templates == ["/boards/{name}"] * 4


async def test_the_age_of_a_repeated_response_is_current(whole: Whole, clock: Clock) -> None:
    for _ in range(2):
        await get(whole.app, "/boards/JFK")
    entry = whole.cache.levels.fresh(b"/boards/JFK")
    assert entry is not None
    for _ in range(12):
        clock.advance(0.25)
        headers = (await get(whole.app, "/boards/JFK")).headers
        said = {name.decode(): value.decode() for name, value in hit_headers(entry, [], now=clock(), level="local")}
        assert headers | said == headers
    assert whole.taken == 2


async def test_a_draining_process_uses_every_middleware(whole: Whole) -> None:
    for _ in range(3):
        await get(whole.app, "/boards/JFK")
    whole.shutdown.begin()
    assert (await get(whole.app, "/boards/JFK")).status == 200
    assert whole.taken == 3
