"""The one call: where it works, and what it says where it cannot."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request
from fastapi.routing import APIRoute
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from observability import InstrumentationError, Telemetry, TelemetrySettings, instrument
from observability.testing import capture_telemetry, lifespan_client

SILENT = TelemetrySettings(metrics_exporter="none", log_format="none", access_log=False)


async def hello(_: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


def test_a_second_call_fails() -> None:
    app = FastAPI()
    instrument(app, settings=SILENT)
    with pytest.raises(InstrumentationError, match="instrumented already"):
        instrument(app, settings=SILENT)


def test_a_call_after_the_official_instrumentor_fails() -> None:
    app = FastAPI()
    FastAPIInstrumentor.instrument_app(app)
    try:
        with pytest.raises(InstrumentationError, match="every span would be recorded twice"):
            instrument(app, settings=SILENT)
    finally:
        FastAPIInstrumentor.uninstrument_app(app)


@pytest.mark.anyio
@pytest.mark.parametrize("kind", [FastAPI, Starlette])
async def test_a_call_inside_a_lifespan_fails(kind: Any) -> None:
    said: list[str] = []

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        try:
            instrument(app, settings=SILENT)
        except InstrumentationError as error:
            said.append(str(error))
        yield

    app = kind(lifespan=lifespan)
    await lifespan_of(app)
    assert said
    assert "where it is created" in said[0]


async def lifespan_of(app: ASGIApp) -> dict[str, Any]:
    """Start and stop the application as a server does; return the state of its lifespan."""
    state: dict[str, Any] = {}
    messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    sent: list[str] = []

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": state}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    return state


@pytest.mark.anyio
@pytest.mark.parametrize("kind", [FastAPI, Starlette])
async def test_the_application_keeps_its_own_lifespan_and_its_state(kind: Any) -> None:
    steps: list[str] = []

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, int]]:
        steps.append(f"starts with {type(app).__name__}")
        yield {"number": 42}
        steps.append("stops")

    app = kind(lifespan=lifespan)
    instrument(app, settings=SILENT)
    assert await lifespan_of(app) == {"number": 42}
    assert steps == [f"starts with {kind.__name__}", "stops"]


@pytest.mark.anyio
async def test_handlers_of_the_old_events_still_run() -> None:
    steps: list[str] = []
    app = FastAPI()
    app.router.on_startup.append(lambda: steps.append("starts"))
    app.router.on_shutdown.append(lambda: steps.append("stops"))
    instrument(app, settings=SILENT)
    await lifespan_of(app)
    assert steps == ["starts", "stops"]


@pytest.mark.anyio
async def test_a_lifespan_that_fails_fails_and_frees_the_metrics_port() -> None:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        if not hasattr(app.state, "database"):
            raise RuntimeError("no database")
        yield

    app = FastAPI(lifespan=lifespan)
    telemetry = instrument(app, settings=TelemetrySettings(metrics_port=0, log_format="none", access_log=False))
    with pytest.raises(RuntimeError, match="no database"):
        async with app.router.lifespan_context(app):
            pass
    assert telemetry.metrics_port is None


@pytest.mark.anyio
async def test_without_a_lifespan_requests_are_measured_and_named() -> None:
    registry = CollectorRegistry()
    app = Starlette(routes=[Route("/hello", hello)])
    instrument(app, registry=registry, settings=SILENT)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        response = await client.get("/hello")
    assert response.text == "hello"
    assert len(response.headers["x-trace-id"]) == 32
    labels = {"method": "GET", "handler": "/hello", "status": "2xx", "code": "200"}
    assert registry.get_sample_value("http_requests_total", labels) == 1


def mounted() -> tuple[Starlette, Telemetry]:
    """Return an application whose lifespan never runs, because it is mounted in another one."""
    inner = FastAPI()
    inner.add_route("/hello/{name}", hello)
    watched = instrument(inner, settings=TelemetrySettings(metrics_port=0, log_format="none", traces_exporter="none"))
    return Starlette(routes=[Mount("/api", inner)]), watched


@pytest.mark.anyio
async def test_without_a_lifespan_metrics_are_served_and_a_warning_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app, watched = mounted()
    async with lifespan_client(app) as client:
        for name in ("me", "you"):
            assert (await client.get(f"/api/hello/{name}")).text == "hello"
    (said,) = [record.message for record in caplog.records if record.name == "observability"]
    assert "call start() and stop() of what instrument() returned" in said
    assert watched.metrics_port is not None
    async with httpx.AsyncClient() as scraper:
        metrics = await scraper.get(f"http://127.0.0.1:{watched.metrics_port}/metrics")
    assert 'handler="/hello/{name}"' in metrics.text
    watched.start()
    assert watched.metrics_port is not None
    watched.stop()
    assert watched.metrics_port is None


@pytest.mark.anyio
async def test_where_no_lifespan_runs_it_can_be_started(caplog: pytest.LogCaptureFixture) -> None:
    app, watched = mounted()
    watched.start()
    port = watched.metrics_port
    try:
        watched.start()
        assert watched.metrics_port == port
        async with lifespan_client(app) as client, httpx.AsyncClient() as outside:
            await client.get("/api/hello/me")
            metrics = (await outside.get(f"http://127.0.0.1:{port}/metrics", headers={"Accept": "text/plain"})).text
    finally:
        watched.stop()
    assert 'http_requests_total{code="200",handler="/hello/{name}",method="GET",status="2xx"} 1.0' in metrics
    assert not [record for record in caplog.records if record.name == "observability"]
    assert watched.metrics_port is None


@pytest.mark.anyio
async def test_the_middleware_is_outside_of_everything() -> None:
    """Also of middleware that is added later, and of the response to an exception."""

    class Timid:
        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await PlainTextResponse("not today", status_code=503)(scope, receive, send)

    with capture_telemetry() as captured:
        app = Starlette(routes=[Route("/hello", hello)], middleware=[Middleware(Timid)])
        captured.instrument(app)
        app.add_middleware(Timid)
        async with lifespan_client(app) as client:
            assert (await client.get("/hello")).headers["x-trace-id"]
        assert captured.value("http_requests_total", handler="/hello", code="503") == 1


@pytest.mark.anyio
async def test_an_instrumented_application_in_an_instrumented_one_is_measured_once() -> None:
    with capture_telemetry() as outer, capture_telemetry() as inner:
        sub = FastAPI()
        sub.add_route("/hello", hello)
        inner.instrument(sub)
        app = Starlette(routes=[Mount("/sub", app=sub)])
        outer.instrument(app)
        async with lifespan_client(app) as client:
            await client.get("/sub/hello")
        assert outer.value("http_requests_total", handler="/sub/hello") == 1
        assert inner.value("http_requests_total") == 0
        assert [span.name for span in outer.spans()] == ["GET /sub/hello"]
        assert inner.spans() == []


@pytest.mark.anyio
@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("build_routes", [True, False])
async def test_routes_of_included_routers_are_built_before_the_first_request(build_routes: bool, enabled: bool) -> None:
    built: list[str] = []

    def unique_id(route: APIRoute) -> str:
        built.append(route.name)
        return route.name

    def application() -> FastAPI:
        app = FastAPI(generate_unique_id_function=unique_id)
        outer, router = APIRouter(), APIRouter()
        router.add_api_route("/hello", lambda: "hello", name="hello")
        outer.include_router(router, prefix="/inner")
        app.include_router(outer, prefix="/outer")
        return app

    app = application()
    app.mount("/mounted", application())
    settings = SILENT.model_copy(update={"enabled": enabled})
    instrument(app, settings=settings, build_routes=build_routes)
    async with lifespan_client(app) as client:
        at_start = len(built)
        assert (await client.get("/outer/inner/hello")).status_code == 200
        assert (await client.get("/mounted/outer/inner/hello")).status_code == 200
    assert (len(built) == at_start) == build_routes


@pytest.mark.anyio
async def test_disabled_it_does_not_change_the_application() -> None:
    with capture_telemetry(enabled=False) as captured:
        app = Starlette(routes=[Route("/hello", hello)])
        captured.instrument(app)
        async with lifespan_client(app) as client:
            response = await client.get("/hello")
        assert "x-trace-id" not in response.headers
        assert captured.value("http_requests_total") == 0


@pytest.mark.anyio
async def test_the_application_can_start_again() -> None:
    app = Starlette(routes=[Route("/hello", hello)])
    with capture_telemetry(metrics_exporter="prometheus", metrics_port=0) as captured:
        measured = captured.instrument(app)
        for number in (1, 2):
            async with lifespan_client(app) as client:
                await client.get("/hello")
                assert measured.metrics_port
                async with httpx.AsyncClient() as reader:
                    text = (await reader.get(f"http://127.0.0.1:{measured.metrics_port}/metrics")).text
                assert (
                    f'http_requests_total{{code="200",handler="/hello",method="GET",status="2xx"}} {number}.0' in text
                )
            assert measured.metrics_port is None


@pytest.mark.anyio
async def test_the_framework_s_own_telemetry_is_switched_off_and_not_only_passed_over() -> None:
    app = FastAPI()
    assert app._telemetry["tracing"]
    with capture_telemetry() as captured:
        captured.instrument(app)
        async with lifespan_client(app):
            assert not app._native_telemetry.enabled(), "else it looks through the middleware for every request"
