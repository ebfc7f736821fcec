"""One table under a real server: which handler, which status, and how long to the first byte, the last, and the end."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic, sleep

import httpx
import pytest
from fastapi import APIRouter, BackgroundTasks, FastAPI
from fastapi.responses import RedirectResponse, StreamingResponse
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route

from observability.testing import CapturedTelemetry, capture_telemetry
from tests.servers.asgi import serving

PAUSE_S = 0.2
"""What takes time takes so long; everything else takes a small part of it."""


@dataclass(frozen=True)
class Row:
    """A request, and what must be measured of it."""

    path: str
    handler: str
    status: str = "200"
    first_byte: float | None = 0.0
    """Pauses before it; None if there is none."""
    last_byte: float | None = 0.0
    background: float | None = None
    leaves: bool = False
    """Whether the client goes away."""


ROWS = {
    "plain": Row("/plain/7", "/plain/{number}"),
    "slow": Row("/slow", "/slow", first_byte=1, last_byte=1),
    "streaming": Row("/stream", "/stream", last_byte=1),
    "server-sent events": Row("/events", "/events", last_byte=1),
    "a background task": Row("/background", "/background", background=1),
    "an exception": Row("/raises", "/raises", status="500"),
    "an exception in the background": Row("/fails-later", "/fails-later", background=1),
    "a client that leaves": Row(
        "/leave", "/leave", status="client_disconnected", first_byte=None, last_byte=None, leaves=True
    ),
    "a redirect of the application": Row("/moved", "/moved", status="307"),
    "a redirect of a missing slash": Row("/with-slash", "unmatched", status="307"),
    "nothing there": Row("/no/such/thing", "unmatched", status="404"),
    "a method that is not allowed": Row("/only-post", "/only-post", status="405"),
    "bad input": Row("/plain/seven", "/plain/{number}", status="422"),
    "a router below two prefixes": Row("/api/v1/items/3", "/api/v1/items/{item}"),
    "a mounted application": Row("/mounted/deep/5", "/mounted/deep/{number}"),
    "a mounted application of another kind": Row("/starlette/hello/x", "/starlette/hello/{name}"),
    "a mounted application that shows no routes": Row("/plain-asgi/any/path", "/plain-asgi"),
}


def shop() -> FastAPI:
    app = FastAPI()

    @app.get("/plain/{number}")
    async def plain(number: int) -> int:
        return number

    @app.get("/slow")
    async def slow() -> None:
        await asyncio.sleep(PAUSE_S)

    async def parts() -> AsyncIterator[str]:
        yield "data: one\n\n"
        await asyncio.sleep(PAUSE_S)
        yield "data: two\n\n"

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        return StreamingResponse(parts())

    @app.get("/events")
    async def events() -> StreamingResponse:
        return StreamingResponse(parts(), media_type="text/event-stream")

    @app.get("/background")
    async def background(later: BackgroundTasks) -> None:
        later.add_task(asyncio.sleep, PAUSE_S)

    @app.get("/raises")
    async def raises() -> None:
        raise ValueError("no such thing")

    async def failing() -> None:
        await asyncio.sleep(PAUSE_S)
        raise ValueError("too late to say so")

    @app.get("/fails-later")
    async def fails_later(later: BackgroundTasks) -> None:
        later.add_task(failing)

    @app.get("/leave")
    async def leave() -> Response:
        await asyncio.sleep(PAUSE_S)
        return Response("no client reads this")

    @app.get("/moved")
    async def moved() -> Response:
        return RedirectResponse("/plain/1")

    @app.get("/with-slash/")
    async def with_slash() -> None:
        """Respond to the path with a slash only."""

    @app.post("/only-post")
    async def only_post() -> None:
        """Respond to POST only."""

    items, version = APIRouter(prefix="/items"), APIRouter(prefix="/v1")

    @items.get("/{item}")
    async def item(item: int) -> int:
        return item

    version.include_router(items)
    app.include_router(version, prefix="/api")
    mounted = FastAPI()

    @mounted.get("/deep/{number}")
    async def deep(number: int) -> int:
        return number

    app.mount("/mounted", mounted)
    hello = Route("/hello/{name}", lambda request: PlainTextResponse(request.path_params["name"]))
    app.mount("/plain-asgi", PlainTextResponse("no routes"))
    app.router.routes.append(Mount("/starlette", Starlette(routes=[hello])))
    return app


@contextmanager
def served(**server: str) -> Iterator[tuple[CapturedTelemetry, str]]:
    with capture_telemetry() as captured:
        app = shop()
        captured.instrument(app)
        with serving(app, log_level="critical", **server) as url:
            yield captured, url


def leave(url: str, path: str) -> None:
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        sleep(PAUSE_S / 4)


@pytest.mark.parametrize("root_path", ["", "/proxied"], ids=["", "behind a proxy"])
@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_a_request_is_measured_as_what_it_was(row: Row, root_path: str) -> None:
    with served(root_path=root_path) as (captured, url):
        if row.leaves:
            leave(url, row.path)
        else:
            httpx.get(f"{url}{row.path}")
        deadline = monotonic() + 60
        while not captured.value("http_requests_total"):
            assert monotonic() < deadline
            sleep(0.005)
    assert captured.value("http_requests_total", method="GET", handler=row.handler, code=row.status) == 1
    for name, pauses in (
        ("http_response_first_byte", row.first_byte),
        ("http_response_last_byte", row.last_byte),
        ("http_background", row.background),
    ):
        count = captured.value(f"{name}_seconds_count", handler=row.handler)
        seconds = captured.value(f"{name}_seconds_sum", handler=row.handler)
        if pauses is not None:
            assert count == 1, name
            assert pauses * PAUSE_S * 0.95 <= seconds < (pauses + 0.9) * PAUSE_S, name
        elif not row.leaves:
            assert seconds < PAUSE_S / 2, f"{name}: the server's own work may take a moment"
