"""The response cache in front of small applications."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from observability.request.route import route_template
from service.cache.layered import LayeredCache
from service.cache.levels import Levels
from service.cache.lru import EntryLru
from service.cache.memory import MemoryStore
from service.cache.middleware import ResponseCacheMiddleware
from service.http.cache_model.entry import entry_of
from service.http.cache_model.policy import CachePolicy, PolicyTable
from service.http.cache_model.tags import tag_response
from tests.service.conftest import Clock, Lookups, get
from tests.virtual_time import VirtualTimeLoop

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    return "asyncio", {"loop_factory": VirtualTimeLoop}


POLICIES = PolicyTable(
    {
        path: CachePolicy(cache="board", technique="response_cache", ttl_s=60, stale_s=30, negative_ttl_s=5, jitter=0)
        for path in ("/boards/{name}", "/responses/{kind}")
    }
)


class Boards:
    """An application with boards and every kind of response; counts its runs."""

    def __init__(self) -> None:
        self.runs = 0
        self.version = 1
        self.is_broken = False
        self.delay_s = 0.0
        self.after: list[str] = []
        self.app = Starlette(
            routes=[
                Route("/boards/{name}", self.board),
                Route("/boards/{name}", self.board, methods=["POST"]),
                Route("/responses/{kind}", self.respond),
                Route("/elsewhere", self.board),
            ]
        )

    async def board(self, request: Request) -> Response:
        self.runs += 1
        await asyncio.sleep(self.delay_s)
        if self.is_broken:
            raise RuntimeError("broken")
        name = request.path_params.get("name", "")
        tag_response(request, f"board:{name}")
        if name == "unknown":
            return JSONResponse({"title": "unknown"}, 404)
        return JSONResponse({"name": name, "version": self.version, "run": self.runs})

    async def respond(self, request: Request) -> Response:
        self.runs += 1
        return self.responses()[request.path_params["kind"]]

    def responses(self) -> dict[str, Response]:
        return {
            "cookie": PlainTextResponse("yours", headers={"set-cookie": f"id={self.runs}"}),
            "private": PlainTextResponse("yours", headers={"cache-control": "private"}),
            "vary": PlainTextResponse("yours", headers={"vary": "Accept-Language"}),
            "vary-encoding": PlainTextResponse("ours", headers={"vary": "Accept-Encoding"}),
            "huge": PlainTextResponse("x" * 20_000),
            "failed": PlainTextResponse("no", 503),
            "redirect": Response(status_code=307, headers={"location": "/boards/JFK"}),
            "background": PlainTextResponse("first", background=BackgroundTask(self.afterwards)),
            "broken-background": PlainTextResponse("first", background=BackgroundTask(self.broken_afterwards)),
            "stream": StreamingResponse(self.parts()),
        }

    async def parts(self) -> AsyncIterator[bytes]:
        yield b"one"
        await asyncio.sleep(0.05)
        yield b"two"

    async def afterwards(self) -> None:
        await asyncio.sleep(0.05)
        self.after.append("done")

    async def broken_afterwards(self) -> None:
        raise RuntimeError("broken afterwards")


@pytest.fixture
def boards() -> Boards:
    return Boards()


@pytest.fixture
def cache(lookups: Lookups, clock: Clock) -> LayeredCache:
    local = EntryLru(level="local", max_bytes=1_000_000, meter=lookups)
    shared = EntryLru(level="shared", max_bytes=1_000_000, meter=lookups)
    return LayeredCache(Levels(MemoryStore(shared, clock=clock), local=local, meter=lookups, clock=clock))


@pytest.fixture
def app(boards: Boards, cache: LayeredCache) -> ASGIApp:
    return ResponseCacheMiddleware(boards.app, cache=cache, policies=POLICIES, max_entry_bytes=10_000)


async def test_the_second_response_is_a_hit(app: ASGIApp, boards: Boards, clock: Clock) -> None:
    first = await get(app, "/boards/JFK?date=1")
    assert first.headers["cache-status"] == "flightdeck; fwd=uri-miss; stored"
    clock.advance(10)
    second = await get(app, "/boards/JFK?date=1")
    assert second.body == first.body
    assert second.headers["cache-status"] == "flightdeck; hit; ttl=49; detail=local"
    assert second.headers["age"] == "10"
    assert second.headers["content-type"] == first.headers["content-type"] == "application/json"
    assert boards.runs == 1


async def test_the_order_of_parameters_does_not_matter_and_their_values_do(app: ASGIApp, boards: Boards) -> None:
    await get(app, "/boards/JFK?date=1&hour=2")
    await get(app, "/boards/JFK?hour=2&date=1")
    assert boards.runs == 1
    await get(app, "/boards/JFK?date=2&hour=1")
    assert boards.runs == 2


async def test_a_hit_is_named_by_its_template_before_any_routing(app: ASGIApp) -> None:
    async def seen_by_outer(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, send)
        templates.append(route_template(scope))
        entries.append(entry_of(scope) is not None)

    templates: list[str] = []
    entries: list[bool] = []
    for path in ("/boards/JFK", "/boards/JFK", "/elsewhere"):
        await get(seen_by_outer, path)
    assert templates == ["/boards/{name}", "/boards/{name}", "/elsewhere"]
    assert entries == [True, True, False]


async def test_stale_is_sent_at_once_and_refreshed_by_one(app: ASGIApp, boards: Boards, clock: Clock) -> None:
    await get(app, "/boards/JFK")
    clock.advance(61)
    boards.delay_s = 0.05
    stale = [await get(app, "/boards/JFK") for _ in range(3)]
    assert {got.body for got in stale} == {b'{"name":"JFK","version":1,"run":1}'}
    assert stale[0].headers["cache-status"] == "flightdeck; hit; ttl=-2; detail=shared"
    await asyncio.sleep(0.07)
    assert boards.runs == 2
    refreshed = await get(app, "/boards/JFK")
    assert refreshed.body == b'{"name":"JFK","version":1,"run":2}'
    assert "detail=local" in refreshed.headers["cache-status"]


async def test_an_expired_response_is_computed_again(app: ASGIApp, clock: Clock) -> None:
    await get(app, "/boards/JFK")
    clock.advance(91)
    assert b'"run":2' in (await get(app, "/boards/JFK")).body


async def test_a_failed_refresh_is_counted_logged_and_tried_again_later(
    app: ASGIApp, boards: Boards, clock: Clock, lookups: Lookups, caplog: pytest.LogCaptureFixture
) -> None:
    await get(app, "/boards/JFK")
    clock.advance(61)
    boards.is_broken = True
    with caplog.at_level(logging.WARNING):
        assert (await get(app, "/boards/JFK")).status == 200
        await asyncio.sleep(0.01)
    assert "broken" in caplog.text
    assert lookups.results["board", "shared", "error"] == 1
    assert (await get(app, "/boards/JFK")).status == 200
    await asyncio.sleep(0.01)
    assert boards.runs == 2, "no second attempt at once"
    boards.is_broken = False
    clock.advance(1.1)
    await get(app, "/boards/JFK")
    await asyncio.sleep(0.01)
    assert b'"run":3' in (await get(app, "/boards/JFK")).body


async def test_a_refresh_in_progress_is_cancelled_when_the_service_stops(
    app: ASGIApp, boards: Boards, cache: LayeredCache, clock: Clock
) -> None:
    async with cache:
        await get(app, "/boards/JFK")
        clock.advance(61)
        boards.delay_s = 0.05
        await get(app, "/boards/JFK")
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.06)
    assert boards.runs == 2
    assert cache.levels.in_process is not None
    assert b'"run":1' in cache.levels.in_process[b"/boards/JFK"].body


async def test_a_404_is_kept_briefly(app: ASGIApp, boards: Boards, clock: Clock) -> None:
    assert [(await get(app, "/boards/unknown")).status for _ in range(3)] == [404] * 3
    assert boards.runs == 1
    clock.advance(6)
    await get(app, "/boards/unknown")
    assert boards.runs == 2


@pytest.mark.parametrize("kind", ["cookie", "private", "vary", "huge", "failed", "redirect", "stream"])
async def test_what_may_not_be_kept_is_not(app: ASGIApp, boards: Boards, cache: LayeredCache, kind: str) -> None:
    first, second = [await get(app, f"/responses/{kind}") for _ in range(2)]
    assert boards.runs == 2
    assert first.headers["cache-status"] == second.headers["cache-status"] == "flightdeck; fwd=uri-miss"
    assert cache.levels.in_process is not None
    assert not cache.levels.in_process


async def test_a_follower_never_gets_the_cookie_of_the_leader(app: ASGIApp) -> None:
    responses = await asyncio.gather(*(get(app, "/responses/cookie") for _ in range(4)))
    assert len({got.headers["set-cookie"] for got in responses}) == 4


async def test_a_response_that_varies_by_encoding_only_is_cached(app: ASGIApp, boards: Boards) -> None:
    await get(app, "/responses/vary-encoding")
    await get(app, "/responses/vary-encoding")
    assert boards.runs == 1


@pytest.mark.parametrize("name", ["Authorization", "Range", "Content-Length", "Transfer-Encoding"])
async def test_personal_requests_bypass_the_cache(app: ASGIApp, boards: Boards, name: str) -> None:
    await get(app, "/boards/JFK")
    got = await get(app, "/boards/JFK", {name: "x"})
    assert boards.runs == 2
    assert got.headers["cache-status"] == "flightdeck; fwd=bypass"
    assert "cache-status" not in (await get(app, "/elsewhere", {name: "x"})).headers


async def test_other_methods_and_paths_without_a_policy_pass(app: ASGIApp, boards: Boards) -> None:
    for _ in range(2):
        await get(app, "/boards/JFK", method="POST")
        assert "cache-status" not in (await get(app, "/elsewhere")).headers
    assert boards.runs == 4
    assert (await get(app, "/nowhere")).status == 404


async def test_a_stream_is_passed_on_part_by_part(app: ASGIApp) -> None:
    arrived: list[tuple[float, bytes]] = []
    loop = asyncio.get_running_loop()

    async def send(message: Message) -> None:
        arrived.append((loop.time(), message.get("body", b"start")))

    async def receive() -> Message:
        await asyncio.sleep(60)
        raise AssertionError

    scope = {"type": "http", "method": "GET", "path": "/responses/stream", "query_string": b"", "headers": []}
    await app(scope, receive, send)
    assert [part for _, part in arrived][:3] == [b"start", b"one", b"two"]
    assert arrived[2][0] - arrived[1][0] > 0.04


async def test_the_response_does_not_wait_for_background_work_whose_failure_is_raised(
    app: ASGIApp, boards: Boards
) -> None:
    await get(app, "/responses/background")
    assert boards.after == ["done"], "the first client's request lasts until the application is done"
    assert b"first" in (await get(app, "/responses/background")).body
    with pytest.raises(RuntimeError, match="broken afterwards"):
        await get(app, "/responses/broken-background")


async def test_an_exception_of_the_application_is_raised_and_not_kept(app: ASGIApp, boards: Boards) -> None:
    boards.is_broken = True
    with pytest.raises(RuntimeError, match="broken"):
        await get(app, "/boards/JFK")
    boards.is_broken = False
    assert (await get(app, "/boards/JFK")).status == 200


async def test_a_write_invalidates_its_responses_and_no_others(
    app: ASGIApp, boards: Boards, cache: LayeredCache
) -> None:
    for name in ("JFK", "LGA"):
        await get(app, f"/boards/{name}")
    boards.version = 2
    await cache.invalidate(["board:JFK"])
    assert b'"version":2' in (await get(app, "/boards/JFK")).body
    assert "hit" in (await get(app, "/boards/LGA")).headers["cache-status"]


async def test_other_kinds_of_connection_pass() -> None:
    seen: list[str] = []

    async def app(scope: Scope, _: Receive, __: Send) -> None:
        seen.append(scope["type"])

    async def receive() -> Message:
        raise AssertionError

    async def send(_: Message) -> None:
        raise AssertionError

    meter = Lookups()
    store = MemoryStore(EntryLru(level="local", max_bytes=1_000_000, meter=meter))
    cache = LayeredCache(Levels(store, local=None, meter=meter))
    await ResponseCacheMiddleware(app, cache=cache, policies=POLICIES)({"type": "websocket"}, receive, send)
    assert seen == ["websocket"]
