"""Validators and freshness around small applications."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from service.compression.middleware import CompressionMiddleware
from service.delivery.conditional_requests import HttpCacheMiddleware
from service.http.cache_model.entry import body_digest, set_entry
from service.http.cache_model.policy import CachePolicy, PolicyTable
from service.http.cache_model.tags import tag_response
from tests.service.conftest import Bodies, Got, entry_with, get, thread_pool

pytestmark = pytest.mark.anyio

POLICIES = PolicyTable(
    {
        "/boards/{name}": CachePolicy(cache="board", technique="response_cache", ttl_s=60, stale_s=30),
        "/airports": CachePolicy(cache="reference", technique="local_cache", ttl_s=3600, browser_s=300),
    }
)


async def board(request: Request) -> Response:
    tag_response(request, f"board:{request.path_params.get('name', '-')}", "flights")
    return JSONResponse({"flights": []})


async def parts() -> AsyncIterator[bytes]:
    yield b"one"
    yield b"two"


@pytest.fixture
def app() -> ASGIApp:
    responses = {
        "/airports": JSONResponse([]),
        "/cookie": PlainTextResponse("yours", headers={"set-cookie": "id=1"}),
        "/own": PlainTextResponse("ours", headers={"cache-control": "max-age=7", "etag": '"own"'}),
        "/live": PlainTextResponse("alive", headers={"cache-control": "no-store"}),
        "/made": PlainTextResponse("made", 201),
        "/broken": PlainTextResponse("broken", 503),
        "/wrong": PlainTextResponse("wrong", 404, headers={"cache-control": "max-age=1"}),
        "/large": PlainTextResponse("x" * 5000),
    }

    async def stream(_: Request) -> Response:
        return StreamingResponse(parts(), media_type="text/plain")

    routes = [Route(path, response) for path, response in responses.items()]
    routed = Starlette(
        routes=[
            Route("/boards/{name}", board),
            Route("/boards/{name}", board, methods=["PATCH"]),
            Route("/lists", board),
            Route("/stream", stream),
            *routes,
        ]
    )
    return HttpCacheMiddleware(routed, policies=POLICIES, max_body_bytes=4000)


async def test_a_response_has_its_freshness_and_surrogate_keys(app: ASGIApp) -> None:
    got = await get(app, "/boards/JFK")
    assert got.headers["cache-control"] == "public, max-age=0, s-maxage=60, stale-while-revalidate=30"
    assert got.headers["surrogate-key"] == "board:JFK flights"
    assert got.headers["etag"] == f'"{body_digest(got.body)}"'
    reference = await get(app, "/airports")
    assert reference.headers["cache-control"] == "public, max-age=300, s-maxage=3600"
    assert "surrogate-key" not in reference.headers


async def test_a_response_without_a_policy_is_revalidated_every_time(app: ASGIApp) -> None:
    got = await get(app, "/lists")
    assert got.headers["cache-control"] == "no-cache"
    assert (await get(app, "/lists", {"if-none-match": got.headers["etag"]})).status == 304


async def test_a_client_that_is_up_to_date_gets_304_without_what_describes_the_body(app: ASGIApp) -> None:
    fresh = await get(app, "/boards/JFK")
    got = await get(app, "/boards/JFK", {"if-none-match": fresh.headers["etag"]})
    assert (got.status, got.body) == (304, b"")
    for name in ("etag", "cache-control", "surrogate-key"):
        assert got.headers[name] == fresh.headers[name]
    assert not got.headers.keys() & {"content-length", "content-type"}
    assert (await get(app, "/boards/JFK", {"if-none-match": '"other"'})) == fresh


async def test_the_digest_agrees_across_processes(app: ASGIApp) -> None:
    program = "from service.http.cache_model.entry import body_digest; print(body_digest(b'{\"flights\":[]}'))"
    there = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=subprocess.PIPE)
    digest, _ = await there.communicate()
    assert (await get(app, "/boards/JFK")).headers["etag"] == f'"{digest.decode().strip()}"'


@pytest.mark.parametrize("path", ["/broken", "/nowhere"])
async def test_errors_are_not_kept(app: ASGIApp, path: str) -> None:
    got = await get(app, path, {"if-none-match": "*"})
    assert got.status >= 400
    assert got.headers["cache-control"] == "no-store"
    assert "etag" not in got.headers


async def test_headers_of_the_application_take_precedence(app: ASGIApp) -> None:
    own = await get(app, "/own")
    assert (own.headers["cache-control"], own.headers["etag"]) == ("max-age=7", '"own"')
    assert (await get(app, "/own", {"if-none-match": '"own"'})).status == 304
    live = await get(app, "/live")
    assert live.headers["cache-control"] == "no-store"
    assert "etag" not in live.headers
    assert (await get(app, "/wrong")).headers["cache-control"] == "max-age=1"


async def test_private_responses_are_not_stored_anywhere(app: ASGIApp) -> None:
    for got in (await get(app, "/cookie"), await get(app, "/boards/JFK", {"authorization": "Bearer x"})):
        assert got.status == 200
        assert got.headers["cache-control"] == "private, no-store"
        assert "etag" not in got.headers


async def test_other_methods_and_statuses_pass(app: ASGIApp) -> None:
    patched = await get(app, "/boards/JFK", {"if-none-match": "*"}, method="PATCH")
    assert patched.status == 200
    assert not patched.headers.keys() & {"etag", "cache-control", "surrogate-key"}
    made = await get(app, "/made")
    assert not made.headers.keys() & {"etag", "cache-control"}


async def test_streams_and_large_bodies_pass_with_freshness_but_without_a_validator(app: ASGIApp) -> None:
    for path, body in (("/stream", b"onetwo"), ("/large", b"x" * 5000)):
        got = await get(app, path)
        assert got.body == body
        assert got.headers["cache-control"] == "no-cache"
        assert "etag" not in got.headers


async def test_head_has_the_freshness_of_get(app: ASGIApp) -> None:
    got = await get(app, "/airports", method="HEAD")
    assert got.headers["cache-control"] == "public, max-age=300, s-maxage=3600"


async def test_a_body_that_comes_in_parts_is_passed_on_as_it_comes() -> None:
    async def routed(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"Content-Length", b"6")]})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        await send({"type": "http.response.body", "body": b"two"})

    got = await get(HttpCacheMiddleware(routed, policies=POLICIES), "/lists")
    assert got.body == b"onetwo"
    assert "etag" not in got.headers


def serving(entry_is_invalidated: bool) -> ASGIApp:
    entry = entry_with(b"[]", tags=("flights",))
    entry.template = "/boards/{name}"
    entry.is_invalidated = entry_is_invalidated

    async def routed(scope: Scope, _: Receive, send: Send) -> None:
        set_entry(scope, entry)
        await send({"type": "http.response.start", "status": 200, "headers": entry.headers})
        await send({"type": "http.response.body", "body": entry.body})

    return HttpCacheMiddleware(routed, policies=POLICIES)


async def test_an_entrys_digest_and_tags_are_used() -> None:
    got = await get(serving(entry_is_invalidated=False), "/boards/JFK")
    assert got.headers["etag"] == f'"{body_digest(b"[]")}"'
    assert got.headers["surrogate-key"] == "flights"
    assert "s-maxage=60" in got.headers["cache-control"]


async def test_a_response_that_a_write_invalidated_is_not_stored_by_edges() -> None:
    got = await get(serving(entry_is_invalidated=True), "/boards/JFK")
    assert got.headers["cache-control"] == "no-store"
    assert "etag" not in got.headers


async def both(etag_of: dict[str, str], request_headers: dict[str, str]) -> Got:
    app = CompressionMiddleware(
        HttpCacheMiddleware(JSONResponse(["x" * 3000]), policies=POLICIES), meter=Bodies(), threads=thread_pool()
    )
    fresh = await get(app, "/lists", etag_of)
    return await get(app, "/lists", {**request_headers, "if-none-match": fresh.headers["etag"]})


async def test_a_compressed_copy_is_validated_by_its_own_validator() -> None:
    zstd = {"accept-encoding": "zstd"}
    got = await both(zstd, zstd)
    assert got.status == 304
    assert got.headers["etag"].endswith('-zstd"')
    assert got.headers["vary"] == "Accept-Encoding"


async def test_a_copy_in_another_coding_that_the_client_accepts_is_still_good() -> None:
    got = await both({"accept-encoding": "gzip"}, {"accept-encoding": "gzip, zstd"})
    assert got.status == 304
    assert got.headers["etag"].endswith('-gzip"')


async def test_a_copy_that_the_client_could_not_read_is_replaced() -> None:
    got = await both({"accept-encoding": "zstd"}, {})
    assert got.status == 200
    assert "content-encoding" not in got.headers
