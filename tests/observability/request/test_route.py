"""Route labels under a real uvicorn: what the router leaves in the scope is not the same in a test client."""

from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, HTTPException, Request
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Mount, Route, Router
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from observability import TelemetrySettings, instrument
from observability.request.route import route_template, set_route_template
from tests.servers.asgi import serving

SETTINGS = TelemetrySettings(metrics_exporter="none", log_format="none", access_log=False)


async def respond(request: Request) -> PlainTextResponse:
    return PlainTextResponse(route_template(request.scope))


def items() -> APIRouter:
    router = APIRouter()

    @router.get("/items/{item_id}")
    async def item(item_id: int, request: Request) -> dict[str, str]:
        if item_id == 404:
            raise HTTPException(404)
        return {"item": route_template(request.scope)}

    @router.get("/files/{name:path}")
    async def file(name: str) -> dict[str, str]:
        return {"name": name}

    router.add_route("/plain/{what}", respond)
    return router


class CopiedScope:
    """A middleware that hides the router's marks: it routes in a copy of the scope."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app({**scope}, receive, send)


class Early:
    """A middleware that responds to some requests itself, before any router."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and b"refuse" in scope["query_string"]:
            await PlainTextResponse("no", status_code=401)(scope, receive, send)
        elif scope["type"] == "http" and b"named" in scope["query_string"]:
            set_route_template(scope, "/from/cache")
            await PlainTextResponse(route_template(scope))(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def application(tmp_path: Path) -> FastAPI:
    app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False})
    app.include_router(items())
    app.include_router(items(), prefix="/v2")
    outer = APIRouter()
    inner = APIRouter(prefix="/inner")
    inner.include_router(items())
    outer.include_router(inner)
    outer.mount("/starlette", Starlette(routes=[Route("/deep/{x}", respond)]))
    app.include_router(outer, prefix="/outer/{tenant}")

    api = FastAPI()
    api.include_router(items(), prefix="/v1")
    app.mount("/api/{version}", api)
    shared = Starlette(routes=[Route("/same/{x}", respond), Mount("/deeper", routes=[Route("/{y}", respond)])])
    app.mount("/one", shared)
    app.mount("/two", CopiedScope(shared))
    (tmp_path / "a.txt").write_text("a")
    app.mount("/static", StaticFiles(directory=tmp_path))
    app.router.routes.append(Host("special.example", app=Router([Route("/on/host/{x}", respond)])))
    app.add_route("/twice", respond)
    app.add_middleware(Early)
    return app


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture(scope="module")
def shared_registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, shared_registry: CollectorRegistry) -> Iterator[httpx.Client]:
    app = application(tmp_path_factory.mktemp("files"))
    instrument(app, registry=shared_registry, settings=SETTINGS)
    with serving(app) as url, httpx.Client(base_url=url) as client:
        yield client


Counts = dict[tuple[str, str, str], float]


def counts(registry: CollectorRegistry) -> Counts:
    """Return the counted requests by method, handler and status code."""
    return {
        (sample.labels["method"], sample.labels["handler"], sample.labels["code"]): sample.value
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name == "http_requests_total"
    }


def counted(registry: CollectorRegistry, *, requests: int = 1, before: Counts | None = None) -> Counts:
    """Return what was counted since `before`, once there are as many requests as expected."""
    before = before or {}
    new: Counts = {}
    deadline = monotonic() + 60
    while sum(new.values()) < requests and monotonic() < deadline:
        sleep(0.001)  # a response arrives before the application returns
        now = counts(registry)
        new = {labels: now[labels] - before.get(labels, 0) for labels in now if now[labels] != before.get(labels)}
    return new


CASES = {
    "a router included without prefix": ("GET", "/items/7", "/items/{item_id}", "200"),
    "the same router under a prefix": ("GET", "/v2/items/7", "/v2/items/{item_id}", "200"),
    "routers nested in routers": ("GET", "/outer/acme/inner/items/7", "/outer/{tenant}/inner/items/{item_id}", "200"),
    "a convertor": ("GET", "/v2/files/a/b/c", "/v2/files/{name:path}", "200"),
    "a plain route in an included router": ("GET", "/v2/plain/x", "/v2/plain/{what}", "200"),
    "a mount in an included router": ("GET", "/outer/a/starlette/deep/1", "/outer/{tenant}/starlette/deep/{x}", "200"),
    "a router inside a mount with a parameter": (
        "GET",
        "/api/9/v1/items/7",
        "/api/{version}/v1/items/{item_id}",
        "200",
    ),
    "the documentation of a mounted application": ("GET", "/api/9/docs", "/api/{version}/docs", "200"),
    "an application mounted twice, first": ("GET", "/one/same/1", "/one/same/{x}", "200"),
    "an application mounted twice, second, in middleware": ("GET", "/two/same/1", "/two/same/{x}", "200"),
    "a mount inside a mount": ("GET", "/one/deeper/1", "/one/deeper/{y}", "200"),
    "files": ("GET", "/static/a.txt", "/static", "200"),
    "a missing file": ("GET", "/static/b.txt", "/static", "404"),
    "a route of FastAPI itself": ("GET", "/openapi.json", "/openapi.json", "200"),
    "one endpoint on two routes": ("GET", "/twice", "/twice", "200"),
    "a handler that raises 404": ("GET", "/v2/items/404", "/v2/items/{item_id}", "404"),
    "a wrong method": ("PUT", "/v2/items/7", "/v2/items/{item_id}", "405"),
    "an invalid parameter": ("GET", "/v2/items/seven", "/v2/items/{item_id}", "422"),
    "a redirect to the path without slash": ("GET", "/items/7/", "unmatched", "307"),
    "nothing": ("GET", "/nothing/here", "unmatched", "404"),
    "nothing below a mount": ("GET", "/one/nothing", "unmatched", "404"),
    "nothing below a mounted FastAPI": ("GET", "/api/9/nothing", "unmatched", "404"),
    "rejected by a middleware before routing": ("GET", "/v2/items/7?refuse", "/v2/items/{item_id}", "401"),
    "set by a middleware that responds": ("GET", "/v2/items/7?named", "/from/cache", "200"),
}


@pytest.mark.parametrize(("method", "path", "handler", "status"), CASES.values(), ids=CASES.keys())
def test_the_handler_label_is_the_whole_template(
    client: httpx.Client, shared_registry: CollectorRegistry, method: str, path: str, handler: str, status: str
) -> None:
    before = counts(shared_registry)
    assert str(client.request(method, path).status_code) == status
    assert counted(shared_registry, before=before) == {(method, handler, status): 1.0}


def test_a_route_behind_a_host_is_known(client: httpx.Client, shared_registry: CollectorRegistry) -> None:
    before = counts(shared_registry)
    assert client.get("/on/host/1", headers={"host": "special.example"}).text == "/on/host/{x}"
    assert counted(shared_registry, before=before) == {("GET", "/on/host/{x}", "200"): 1.0}


def test_handlers_read_the_template_while_they_run(client: httpx.Client) -> None:
    assert client.get("/v2/items/7").json() == {"item": "/v2/items/{item_id}"}
    assert client.get("/two/same/1").text == "/two/same/{x}"


@pytest.mark.parametrize(
    ("root_path", "options", "path", "handler"),
    [
        ("/behind/proxy", {}, "/v2/items/7", "/v2/items/{item_id}"),
        ("", {"root_path": "/behind/proxy"}, "/v2/items/7", "/v2/items/{item_id}"),
        ("", {"root_path": "/behind/proxy"}, "/two/same/7", "/two/same/{x}"),
        ("/behind/proxy", {}, "/behind/proxy/two/same/7", "/two/same/{x}"),
    ],
    ids=["the application's, stripped", "uvicorn's", "uvicorn's, mount", "the application's, not stripped, mount"],
)
def test_the_root_path_of_a_proxy_is_not_in_the_label(
    tmp_path: Path, registry: CollectorRegistry, root_path: str, options: dict[str, Any], path: str, handler: str
) -> None:
    app = application(tmp_path)
    app.root_path = root_path
    instrument(app, registry=registry, settings=SETTINGS)
    with serving(app, **options) as url:
        assert httpx.get(f"{url}{path}").status_code == 200
    assert counted(registry) == {("GET", handler, "200"): 1.0}


def test_routes_added_while_the_application_runs_are_found(tmp_path: Path, registry: CollectorRegistry) -> None:
    app = application(tmp_path)
    instrument(app, registry=registry, settings=SETTINGS)
    with serving(app) as url:
        assert httpx.get(f"{url}/twice").status_code == 200
        app.get("/late/{x}")(lambda x: x)
        assert httpx.get(f"{url}/late/1").status_code == 200
    assert ("GET", "/late/{x}", "200") in counted(registry, requests=2)


def test_a_frontend_is_one_handler(tmp_path: Path, registry: CollectorRegistry) -> None:
    (tmp_path / "index.html").write_text("<h1>hello</h1>")
    (tmp_path / "app.js").write_text("1")
    app = FastAPI()
    app.frontend("/ui", directory=tmp_path)
    instrument(app, registry=registry, settings=SETTINGS)
    with serving(app) as url:
        assert httpx.get(f"{url}/ui/app.js").status_code == 200
        assert httpx.get(f"{url}/ui/index.html").status_code == 200
    assert counted(registry, requests=2) == {("GET", "/ui/{path}", "200"): 2.0}


def test_a_mounted_application_can_be_instrumented_alone(registry: CollectorRegistry) -> None:
    sub = FastAPI()
    sub.include_router(items(), prefix="/v1")
    instrument(sub, registry=registry, settings=SETTINGS)
    with serving(Starlette(routes=[Mount("/sub", app=sub)])) as url:
        assert httpx.get(f"{url}/sub/v1/items/7").status_code == 200
    assert counted(registry) == {("GET", "/v1/items/{item_id}", "200"): 1.0}


def test_without_instrumentation_a_template_can_still_be_read_and_named() -> None:
    scope: Scope = {"type": "http", "path": "/x", "route": Route("/x/{y}", respond)}
    assert route_template(scope) == "/x/{y}"
    set_route_template(scope, "/named")
    assert route_template(scope) == "/named"
    assert route_template({"type": "http", "path": "/x"}) == "unmatched"
