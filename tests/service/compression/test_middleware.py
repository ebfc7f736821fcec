"""Compression around small applications, as clients see it."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.compression.middleware import CompressionMiddleware
from service.http.cache_model.entry import set_entry
from tests.polling import eventually_in_loop
from tests.service.compression.test_codings import unpack
from tests.service.conftest import Bodies, entry_with, get, thread_pool

pytestmark = pytest.mark.anyio

TEXT = "All flights that left New York City in 2013. " * 200
ZSTD = {"accept-encoding": "zstd"}


def compressed(app: ASGIApp, bodies: Bodies) -> ASGIApp:
    return CompressionMiddleware(app, meter=bodies, threads=thread_pool(), minimum_bytes=1000)


@pytest.mark.parametrize("coding", ["zstd", "br", "gzip"])
async def test_a_body_is_sent_in_the_coding_that_the_client_prefers(bodies: Bodies, coding: str) -> None:
    app = compressed(PlainTextResponse(TEXT, headers={"etag": '"v1"'}), bodies)
    got = await get(app, "/", {"accept-encoding": coding})
    assert unpack(coding)(got.body) == TEXT.encode()
    assert got.headers["content-encoding"] == coding
    assert got.headers["content-length"] == str(len(got.body))
    assert got.headers["vary"] == "Accept-Encoding"
    assert got.headers["etag"] == f'"v1-{coding}"'
    ((encoding, before, after, seconds),) = bodies.seen
    assert (encoding, before, after) == (coding, len(TEXT), len(got.body))
    assert seconds > 0


async def test_a_client_that_accepts_nothing_gets_the_uncompressed_body_with_vary(
    bodies: Bodies,
) -> None:
    got = await get(compressed(PlainTextResponse(TEXT), bodies), "/")
    assert got.body == TEXT.encode()
    assert got.headers["vary"] == "Accept-Encoding"
    assert "content-encoding" not in got.headers
    assert bodies.seen == [("identity", len(TEXT), len(TEXT), 0.0)]


@pytest.mark.parametrize(
    ("before", "after"), [("Accept", "Accept, Accept-Encoding"), ("accept-encoding", "accept-encoding"), ("*", "*")]
)
async def test_vary_keeps_what_it_had(bodies: Bodies, before: str, after: str) -> None:
    got = await get(compressed(PlainTextResponse(TEXT, headers={"vary": before}), bodies), "/", ZSTD)
    assert got.headers["vary"] == after


async def test_small_bodies_are_not_compressed_unless_identity_is_not_acceptable(bodies: Bodies) -> None:
    app = compressed(PlainTextResponse("x" * 999), bodies)
    assert "content-encoding" not in (await get(app, "/", ZSTD)).headers
    forced = await get(app, "/", {"accept-encoding": "gzip, identity;q=0"})
    assert forced.headers["content-encoding"] == "gzip"
    exact = compressed(PlainTextResponse("x" * 1000), bodies)
    assert (await get(exact, "/", ZSTD)).headers["content-encoding"] == "zstd"


@pytest.mark.parametrize(
    "response",
    [
        Response(TEXT, headers={"content-type": "image/png"}),
        PlainTextResponse(TEXT, headers={"content-encoding": "br"}),
        PlainTextResponse(TEXT, headers={"cache-control": "no-transform"}),
        Response(TEXT, 206, headers={"content-range": "bytes 0-8999/10000", "content-type": "image/png"}),
        Response(status_code=204),
    ],
    ids=["picture", "encoded", "no-transform", "part", "nothing"],
)
async def test_what_must_not_change_passes_untouched(bodies: Bodies, response: Response) -> None:
    plain = await get(response, "/")
    assert await get(compressed(response, bodies), "/", ZSTD) == plain
    assert bodies.seen == []


@pytest.mark.parametrize("media_type", ["text/csv", "multipart/byteranges; boundary=x"])
async def test_a_part_has_the_vary_of_the_complete_response(bodies: Bodies, media_type: str) -> None:
    part = Response(TEXT, 206, headers={"content-type": media_type, "etag": '"v1"'})
    got = await get(compressed(part, bodies), "/", ZSTD)
    assert (got.status, got.body, got.headers["etag"]) == (206, TEXT.encode(), '"v1"')
    assert got.headers["vary"] == "Accept-Encoding"
    assert "content-encoding" not in got.headers


async def test_a_304_has_vary_and_the_same_validator(bodies: Bodies) -> None:
    app = compressed(Response(status_code=304, headers={"etag": '"v1-zstd"'}), bodies)
    got = await get(app, "/", ZSTD)
    assert got.status == 304
    assert (got.headers["etag"], got.headers["vary"]) == ('"v1-zstd"', "Accept-Encoding")


async def test_head_has_the_headers_of_get_without_the_unknown_length(bodies: Bodies) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        response = PlainTextResponse(TEXT, headers={"etag": '"v1"'})
        response.body = b""
        await response(scope, receive, send)

    got = await get(compressed(app, bodies), "/", ZSTD, method="HEAD")
    assert got.body == b""
    assert (got.headers["content-encoding"], got.headers["etag"]) == ("zstd", '"v1-zstd"')
    assert "content-length" not in got.headers


async def test_ranges_are_not_offered_for_a_compressed_body(bodies: Bodies) -> None:
    got = await get(compressed(PlainTextResponse(TEXT, headers={"accept-ranges": "bytes"}), bodies), "/", ZSTD)
    assert "accept-ranges" not in got.headers


@pytest.mark.parametrize("announced", [False, True], ids=["unknown length", "announced length"])
async def test_a_stream_is_compressed_part_by_part_and_none_is_withheld(bodies: Bodies, *, announced: bool) -> None:
    gate = asyncio.Event()

    async def parts() -> AsyncIterator[bytes]:
        yield b"first" * 500
        await gate.wait()
        yield b"second" * 500

    response = StreamingResponse(parts(), media_type="text/plain")
    if announced:
        response.headers["content-length"] = str(2500 + 3000)
    messages: list[Message] = []

    async def receive() -> Message:
        return await asyncio.Future()

    async def send(message: Message) -> None:
        messages.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"accept-encoding", b"zstd")]}
    running = asyncio.create_task(_run(compressed(response, bodies), scope, receive, send))
    await eventually_in_loop(lambda: len(messages) >= 2)
    reader = unpack("zstd")
    assert dict(messages[0]["headers"])[b"content-encoding"] == b"zstd"
    assert b"content-length" not in dict(messages[0]["headers"])
    assert reader(messages[1]["body"]) == b"first" * 500
    gate.set()
    await running
    assert b"".join(reader(message["body"]) for message in messages[2:]) == b"second" * 500
    assert [message.get("more_body", False) for message in messages[1:]][-1] is False
    ((encoding, before, after, _),) = bodies.seen
    assert (encoding, before, after) == ("zstd", 5500, sum(len(message["body"]) for message in messages[1:]))


async def _run(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    await app(scope, receive, send)


async def test_the_start_of_a_stream_does_not_wait_for_its_first_part(bodies: Bodies) -> None:
    started = asyncio.Event()

    async def parts() -> AsyncIterator[bytes]:
        await asyncio.wait_for(started.wait(), 1)
        yield b"late"

    async def receive() -> Message:
        return await asyncio.Future()

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            started.set()

    app = compressed(StreamingResponse(parts(), media_type="text/plain"), bodies)
    await app({"type": "http", "method": "GET", "path": "/", "headers": [(b"accept-encoding", b"br")]}, receive, send)
    assert started.is_set()


async def test_the_body_of_an_entry_is_compressed_once(bodies: Bodies) -> None:
    entry = entry_with(TEXT.encode())

    async def app(scope: Scope, _: Receive, send: Send) -> None:
        set_entry(scope, entry)
        await send({"type": "http.response.start", "status": 200, "headers": entry.headers})
        await send({"type": "http.response.body", "body": entry.body})

    first, second = [await get(compressed(app, bodies), "/", ZSTD) for _ in range(2)]
    assert first == second
    assert [seconds > 0 for *_, seconds in bodies.seen] == [True, False]


async def test_a_body_that_only_looks_like_the_entrys_is_not_sent_as_its_variant(bodies: Bodies) -> None:
    entry = entry_with(b"old" * 1000)
    entry.variants["zstd"] = b"variant of the old body"

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        set_entry(scope, entry)
        await PlainTextResponse("new" * 1000)(scope, receive, send)

    got = await get(compressed(app, bodies), "/", ZSTD)
    assert unpack("zstd")(got.body) == b"new" * 1000


async def test_a_message_that_replaces_the_body_is_passed_on_after_the_start(bodies: Bodies) -> None:
    async def app(_: Scope, __: Receive, send: Send) -> None:
        headers = [(b"content-type", b"text/plain"), (b"content-length", b"5000")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.pathsend", "path": "/file"})

    seen: list[str] = []

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        seen.append(message["type"])

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"accept-encoding", b"gzip")]}
    await compressed(app, bodies)(scope, receive, send)
    assert seen == ["http.response.start", "http.response.pathsend"]


async def test_an_application_that_fails_before_its_body_still_gets_a_500(bodies: Bodies) -> None:
    async def app(_: Scope, __: Receive, send: Send) -> None:
        headers = [(b"content-type", b"text/plain"), (b"content-length", b"5000")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        raise RuntimeError("no body")

    seen: list[Message] = []

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        seen.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"accept-encoding", b"gzip")]}
    with pytest.raises(RuntimeError, match="no body"):
        await compressed(app, bodies)(scope, receive, send)
    assert seen == []


async def test_uncompressed_responses_pass_unchanged(bodies: Bodies) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        await PlainTextResponse(f"{request.method} {request.url.path} {await request.body()!r}")(scope, receive, send)

    assert (await get(compressed(app, bodies), "/a", ZSTD, method="POST")).body == b"POST /a b''"
