"""Facts of a request are recorded whatever scope middleware passes on: under a real uvicorn."""

from collections.abc import Callable, Iterator
from functools import partial

import httpx
import pytest
from fastapi import APIRouter, FastAPI, HTTPException, WebSocket
from starlette.applications import Starlette
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from observability.request.route import route_template
from observability.testing import CapturedTelemetry, capture_telemetry
from tests.polling import eventually
from tests.servers.asgi import serving


class Copy:
    """Passes on a copy of the scope, as the ASGI specification requires of middleware that changes it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(dict(scope), receive, send)


class Language(Copy):
    """`/de/books/1` is `/books/1` in German."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if "/de/" in path:
            scope = {**scope, "path": path.replace("/de/", "/", 1), "raw_path": None, "language": "de"}
        await self.app(scope, receive, send)


class Prefix(Copy):
    """Adds what a proxy removed to the root path and to the path."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if "path" in scope:
            scope = {**scope, "root_path": "/shop", "path": f"/shop{scope['path']}"}
        await self.app(scope, receive, send)


class Denies(Copy):
    """Responds itself to what has no key, before any router."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and b"key" not in dict(scope["headers"]):
            await PlainTextResponse("no", status_code=404)(scope, receive, send)
        elif scope["type"] == "websocket" and b"key" not in dict(scope["headers"]):
            await receive()
            await send({"type": "websocket.close"})
        else:
            await self.app(scope, receive, send)


def books() -> APIRouter:
    router = APIRouter()

    @router.get("/books/{number}")
    async def book(number: int) -> int:
        if not number:
            raise HTTPException(404)
        return number

    @router.websocket("/rooms/{room}")
    async def talk(websocket: WebSocket, room: str) -> None:
        if room == "closed":
            await websocket.close()
            return
        await websocket.accept()
        await websocket.close()

    return router


def included(*middleware: Callable[[ASGIApp], ASGIApp]) -> FastAPI:
    app = FastAPI()
    app.include_router(books())
    for each in middleware:
        app.add_middleware(each)
    return app


def included_twice(*middleware: Callable[[ASGIApp], ASGIApp]) -> FastAPI:
    router = books()
    app = FastAPI()
    app.include_router(router, prefix="/old")
    app.include_router(router)
    for each in middleware:
        app.add_middleware(each)
    return app


async def found(request: Request) -> PlainTextResponse:
    if request.path_params["number"] == "0":
        raise StarletteHTTPException(404)
    return PlainTextResponse("found")


def in_routers(*middleware: Callable[[ASGIApp], ASGIApp]) -> Starlette:
    """The middleware is in the router itself, in a mount, and in the application of a mount."""
    around = [Middleware(each) for each in middleware]
    inner = Router([Route("/books/{number}", found)], middleware=around)
    return Starlette(
        routes=[
            Mount("/router", app=inner),
            Mount("/mount", routes=[Route("/books/{number}", found)], middleware=around),
            Mount("/app", app=Starlette(routes=[Route("/books/{number}", found)], middleware=around)),
        ]
    )


def mounted(*middleware: Callable[[ASGIApp], ASGIApp]) -> FastAPI:
    outer = FastAPI()
    outer.mount("/api/{version}", included(*middleware))
    for each in middleware:
        outer.add_middleware(each)
    return outer


@pytest.fixture
def captured() -> Iterator[CapturedTelemetry]:
    with capture_telemetry(errors=True) as captured:
        yield captured


def labels(captured: CapturedTelemetry, name: str, *, requests: int, label: str) -> list[tuple[str, str]]:
    eventually(lambda: captured.value(name) >= requests)
    return sorted((sample.labels["handler"], sample.labels[label]) for sample in captured.samples(name))


BOOK, VERSIONED = "/books/{number}", "/api/{version}/books/{number}"
CASES: dict[str, tuple[Callable[[], Starlette], list[str], list[tuple[str, str]]]] = {
    "a copy": (
        partial(included, Copy),
        ["/books/1", "/books/0", "/no"],
        [(BOOK, "200"), (BOOK, "404"), ("unmatched", "404")],
    ),
    "copies of copies": (partial(included, Copy, Copy, Copy), ["/books/0"], [(BOOK, "404")]),
    "a wrong method, and a redirect": (
        partial(included, Copy),
        ["POST /books/1", "/books/1/"],
        [(BOOK, "405"), ("unmatched", "307")],
    ),
    "another path": (partial(included, Language), ["/de/books/1", "/de/books/0"], [(BOOK, "200"), (BOOK, "404")]),
    "another path, of a router included twice": (
        partial(included_twice, Language),
        ["/de/books/1", "/de/old/books/0"],
        [(BOOK, "200"), ("/old" + BOOK, "404")],
    ),
    "another root path, of a router included twice": (
        partial(included_twice, Prefix),
        ["/books/1", "/old/books/0"],
        [(BOOK, "200"), ("/old" + BOOK, "404")],
    ),
    "a copy in a mounted application": (
        partial(mounted, Copy),
        ["/api/1/books/1", "/api/1/books/0", "/api/1/no"],
        [(VERSIONED, "200"), (VERSIONED, "404"), ("unmatched", "404")],
    ),
    "another path in a mounted application": (partial(mounted, Language), ["/api/1/de/books/0"], [(VERSIONED, "404")]),
    "middleware of routers": (
        partial(in_routers, Copy),
        ["/router/books/0", "/mount/books/0", "/app/books/0"],
        [("/app" + BOOK, "404"), ("/mount" + BOOK, "404"), ("/router" + BOOK, "404")],
    ),
    "a response before any router": (
        partial(included, Denies),
        ["/books/1", "/no"],
        [(BOOK, "404"), ("unmatched", "404")],
    ),
}


@pytest.mark.parametrize(("application", "requests", "expected"), CASES.values(), ids=CASES.keys())
def test_the_handler_of_a_request_is_known_whatever_the_scope(
    captured: CapturedTelemetry,
    application: Callable[[], Starlette],
    requests: list[str],
    expected: list[tuple[str, str]],
) -> None:
    app = application()
    captured.instrument(app)
    with serving(app) as url:
        for request in requests:
            method, _, path = request.rpartition(" ")
            httpx.request(method or "GET", f"{url}{path}")
        found = labels(captured, "http_requests_total", requests=len(requests), label="code")
    assert found == expected
    named = {f"{(request.rpartition(' ')[0] or 'GET')} {handler}" for request in requests for handler, _ in expected}
    assert {span.name for span in captured.spans() if "/" in span.name} <= named


@pytest.mark.parametrize(
    ("application", "path", "handler", "code"),
    [
        (partial(included, Copy), "/rooms/a", "/rooms/{room}", "1000"),
        (partial(included, Copy), "/rooms/closed", "/rooms/{room}", "rejected"),
        (partial(included, Copy), "/no", "unmatched", "rejected"),
        (partial(included, Language), "/de/rooms/a", "/rooms/{room}", "1000"),
        (partial(included, Denies), "/rooms/a", "/rooms/{room}", "rejected"),
        (partial(mounted, Copy), "/api/1/rooms/a", "/api/{version}/rooms/{room}", "1000"),
        (partial(mounted, Language), "/api/1/de/rooms/a", "/api/{version}/rooms/{room}", "1000"),
    ],
    ids=["a copy", "rejected by the route", "no route", "another path", "rejected before", "mounted", "path, mounted"],
)
def test_the_handler_of_a_connection_is_known_whatever_the_scope(
    captured: CapturedTelemetry, application: Callable[[], FastAPI], path: str, handler: str, code: str
) -> None:
    app = application()
    captured.instrument(app)
    with serving(app) as url:
        try:
            with connect(f"{url.replace('http', 'ws')}{path}") as socket:
                list(socket)
        except InvalidStatus:
            assert code == "rejected"
        assert labels(captured, "websocket_connections_total", requests=1, label="code") == [(handler, code)]
        eventually(lambda: len(captured.spans()) == 1)
    (span,) = captured.spans()
    assert span.name == f"WEBSOCKET {handler}"
    assert (span.attributes or {}).get("http.route") == (None if handler == "unmatched" else handler)


def test_middleware_outside_of_the_copy_reads_the_template_too(captured: CapturedTelemetry) -> None:
    templates = []

    class Reads(Copy):
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await self.app(scope, receive, send)
            if scope["type"] == "http":
                templates.append(route_template(scope))

    app = included(Copy, Reads)
    captured.instrument(app)
    with serving(app) as url:
        httpx.get(f"{url}/books/1")
        eventually(lambda: len(templates) == 1)
    assert templates == [BOOK]


def test_a_secret_in_the_path_is_not_reported(captured: CapturedTelemetry) -> None:
    app = included(Copy)

    @app.get("/reset/{token}")
    async def reset(token: str) -> None:
        raise ValueError(f"no such token: {token}")

    captured.instrument(app)
    secret = "correct-horse-battery-staple"
    with serving(app, log_level="critical") as url:
        assert httpx.get(f"{url}/reset/{secret}").status_code == 500
        eventually(lambda: len(captured.events()) == 1)
    (event,) = captured.events()
    assert secret not in event["exception"]["values"][0]["value"]


def test_instrumenting_two_applications_that_share_a_mounted_one_measures_each_once() -> None:
    shared = included(Copy)
    for _ in range(2):
        with capture_telemetry() as captured:
            app = FastAPI()
            app.mount("/shared", shared)
            app.add_middleware(CORSMiddleware, allow_origins=["*"])
            captured.instrument(app)
            with serving(app) as url:
                httpx.get(f"{url}/shared/books/0")
                assert labels(captured, "http_requests_total", requests=1, label="code") == [("/shared" + BOOK, "404")]
