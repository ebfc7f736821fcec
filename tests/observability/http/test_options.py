"""What the official libraries take as arguments and variables, `instrument()` takes too."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Response, WebSocket
from opentelemetry import trace
from opentelemetry.trace import Span
from prometheus_client import REGISTRY, CollectorRegistry, Counter
from prometheus_fastapi_instrumentator import metrics
from prometheus_fastapi_instrumentator.metrics import Info
from starlette.types import Scope
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from observability import InstrumentationError, TelemetrySettings, instrument
from observability.core.settings import TelemetryConfigurationError
from observability.testing import CapturedTelemetry, capture_telemetry, lifespan_client
from tests.servers.asgi import serving


def shop() -> FastAPI:
    app = FastAPI()

    @app.get("/items/{item_id}")
    async def item(item_id: int, response: Response) -> int:
        response.headers["x-stock"] = "3"
        response.headers["set-cookie"] = "session=s3cret"
        if item_id == 13:
            raise ValueError("no such item")
        with trace.get_tracer("shop").start_as_current_span("inside"):
            return item_id

    @app.websocket("/ws")
    async def ws(socket: WebSocket) -> None:
        await socket.accept()
        await socket.close()

    return app


async def get(captured: CapturedTelemetry, *paths: str, headers: Any = None, **options: Any) -> list[httpx.Response]:
    app = shop()
    captured.instrument(app, **options)
    async with lifespan_client(app) as client:
        return [await client.get(path, headers=headers) for path in paths]


@pytest.mark.anyio
async def test_hooks_are_called_with_the_server_span_and_the_scope() -> None:
    calls: list[tuple[str, str, str]] = []

    def on_request(span: Span, scope: Scope) -> None:
        span.set_attribute("tenant", "acme")
        calls.append(("request", scope["path"], ""))

    def on_message(kind: str) -> Callable[[Span, Scope, Any], None]:
        def hook(span: Span, scope: Scope, message: Any) -> None:
            assert span.is_recording()
            calls.append((kind, scope["path"], message["type"]))

        return hook

    with capture_telemetry() as captured:
        await get(
            captured,
            "/items/7",
            server_request_hook=on_request,
            client_request_hook=on_message("receive"),
            client_response_hook=on_message("send"),
        )
        assert captured.span("GET /items/{item_id}", tenant="acme")
    assert calls == [
        ("request", "/items/7", ""),
        ("send", "/items/7", "http.response.start"),
        ("send", "/items/7", "http.response.body"),
    ]


@pytest.mark.anyio
async def test_what_a_hook_adds_to_an_unsampled_request_is_there_if_it_fails() -> None:
    with capture_telemetry(traces_sampler="always_off") as captured:
        await get(
            captured, "/items/7", "/items/13", server_request_hook=lambda span, _: span.set_attribute("tenant", "acme")
        )
        assert [span.name for span in captured.spans(tenant="acme")] == ["GET /items/{item_id}"]


@pytest.mark.anyio
async def test_a_hook_that_fails_does_not_break_the_request() -> None:
    def fails(*_: object) -> None:
        raise ValueError("hook")

    app = shop()
    registry = CollectorRegistry()
    instrument(
        app,
        registry=registry,
        settings=TelemetrySettings(metrics_exporter="none", log_format="none", access_log=False),
        server_request_hook=fails,
        client_request_hook=fails,
        client_response_hook=fails,
    )
    async with lifespan_client(app) as client:
        assert (await client.get("/items/7")).status_code == 200
    assert (registry.get_sample_value("observability_errors_total", {"where": "hook"}) or 0) >= 3


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("excluded", "traced"),
    [("items/7", False), ("health, items/7", False), ("http://test/items", False), ("orders", True), ("", True)],
)
async def test_excluded_urls_have_no_spans_and_are_counted(excluded: str, traced: bool) -> None:
    with capture_telemetry(slow_request_s=1e-9) as captured:
        (response,) = await get(captured, "/items/7?items", excluded_urls=excluded)
        assert bool(captured.spans()) is traced
        assert captured.value("http_requests_total") == 1
    assert response.headers["x-trace-id"].strip("0")


@pytest.mark.anyio
async def test_captured_headers_are_attributes_without_secrets() -> None:
    with capture_telemetry() as captured:
        await get(
            captured,
            "/items/7",
            headers={
                "x-tenant": "acme",
                "x-pin-code": "1234",
                "authorization": "Bearer abc",
                "x-mail": "a@example.org",
            },
            http_capture_headers_server_request=["x-.*", "authorization"],
            http_capture_headers_server_response=["x-stock", "set-cookie"],
            http_capture_headers_sanitize_fields=["x-mail"],
        )
        attributes = captured.span("GET /items/{item_id}").attributes or {}
    assert attributes["http.request.header.x_tenant"] == ("acme",)
    assert attributes["http.request.header.x_mail"] == ("[REDACTED]",)
    assert attributes["http.request.header.authorization"] == ("REDACTED",)
    assert attributes["http.response.header.x_stock"] == ("3",)
    assert attributes["http.response.header.set_cookie"] == ("REDACTED",)
    assert "user-agent" not in attributes


@pytest.mark.anyio
async def test_the_variables_of_the_official_instrumentation_do_the_same() -> None:
    settings = TelemetrySettings.from_environ(
        {
            "OTEL_PYTHON_EXCLUDED_URLS": "items/8",
            "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST": "x-tenant,x-mail",
            "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE": "x-stock",
            "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS": "x-mail",
        }
    )
    given = settings.model_dump(include={"excluded_urls", "captured_request_headers"})
    given |= settings.model_dump(include={"captured_response_headers", "sanitized_headers"})
    with capture_telemetry(**given) as captured:
        await get(captured, "/items/7", "/items/8", headers={"x-tenant": "acme", "x-mail": "a@example.org"})
        attributes = captured.span("GET /items/{item_id}").attributes or {}
    assert attributes["http.request.header.x_tenant"] == ("acme",)
    assert attributes["http.request.header.x_mail"] == ("[REDACTED]",)
    assert attributes["http.response.header.x_stock"] == ("3",)


def test_the_variable_of_fastapi_comes_before_that_of_all_instrumentations() -> None:
    environ = {"OTEL_PYTHON_FASTAPI_EXCLUDED_URLS": "a", "OTEL_PYTHON_EXCLUDED_URLS": "b"}
    assert TelemetrySettings.from_environ(environ).excluded_urls == "a"


@pytest.mark.parametrize(
    "variable", ["OTEL_PYTHON_FASTAPI_EXCLUDED_URLS", "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST"]
)
def test_a_bad_expression_stops_the_start(variable: str) -> None:
    with pytest.raises(TelemetryConfigurationError, match=f"{variable}: expected regular expressions"):
        TelemetrySettings.from_environ({variable: "ok,(oops"})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"excluded_urls": "(oops"}, "regular expressions"),
        ({"http_capture_headers_server_request": ["(oops"]}, "regular expressions"),
    ],
)
def test_a_bad_expression_in_an_argument_is_an_error(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        instrument(shop(), **options)


def test_an_unknown_argument_is_an_error() -> None:
    with pytest.raises(TypeError, match="instrument\\(\\) has no argument 'exclude_urls'"):
        instrument(shop(), exclude_urls="health")  # type: ignore[call-arg]


def visit(url: str, headers: dict[str, str]) -> None:
    with connect(f"{url.replace('http', 'ws')}/ws", additional_headers=headers) as socket, suppress(ConnectionClosed):
        socket.recv()


def test_websockets_have_the_options_too() -> None:
    with capture_telemetry() as captured:
        app = shop()
        captured.instrument(
            app,
            server_request_hook=lambda span, _: span.set_attribute("tenant", "acme"),
            http_capture_headers_server_request=["x-tenant"],
        )
        with serving(app) as url:
            visit(url, {"x-tenant": "a"})
        attributes = captured.span("WEBSOCKET /ws").attributes or {}
        assert attributes["tenant"] == "acme"
        assert attributes["http.request.header.x_tenant"] == ("a",)
    with capture_telemetry() as captured:
        app = shop()
        captured.instrument(app, excluded_urls="/ws")
        with serving(app) as url:
            visit(url, {})
        assert captured.spans() == []
        assert captured.value("websocket_connections_total", handler="/ws") == 1


@pytest.mark.anyio
async def test_functions_of_the_instrumentator_get_its_info() -> None:
    seen: list[Info] = []
    done = asyncio.Event()

    async def asynchronous(info: Info) -> None:
        await asyncio.sleep(0)
        assert info.request.method == "GET"
        done.set()

    with capture_telemetry() as captured:
        await get(captured, "/items/7", "/items/x", "/nothing", "/items/13", metrics=[seen.append, asynchronous])
        await asyncio.wait_for(done.wait(), 60)
    assert [(info.method, info.modified_handler, info.modified_status) for info in seen] == [
        ("GET", "/items/{item_id}", "2xx"),
        ("GET", "/items/{item_id}", "4xx"),
        ("GET", "none", "4xx"),
        ("GET", "/items/{item_id}", "5xx"),
    ]
    assert seen[0].response is not None
    assert seen[0].response.headers["x-stock"] == "3"
    assert seen[0].request.url.path == "/items/7"
    assert 0 < seen[0].modified_duration_without_streaming <= seen[0].modified_duration < 5


@pytest.mark.anyio
async def test_metrics_of_the_instrumentator_replace_ours_of_the_same_name() -> None:
    with capture_telemetry() as captured:
        registry = captured.registry
        languages = Counter("languages", "Accepted.", ("language",), registry=registry)
        await get(
            captured,
            "/items/7",
            headers={"accept-language": "en"},
            metrics=[
                metrics.latency(registry=registry, buckets=(0.5, 1), should_include_status=True),
                metrics.response_size(registry=registry, metric_name="sizes"),
                lambda info: languages.labels(info.request.headers["accept-language"]).inc(),
            ],
        )
        assert captured.value("http_request_duration_seconds_count", status="2xx") == 1
        assert len(captured.samples("http_request_duration_seconds_bucket")) == 3
        assert captured.value("sizes_sum") == 1
        assert captured.value("languages_total", language="en") == 1
        assert captured.value("http_requests_total") == 1
        assert captured.value("http_response_first_byte_seconds_count") == 1


@pytest.mark.anyio
async def test_functions_register_in_the_default_registry_by_default() -> None:
    before = set(REGISTRY._collector_to_names)
    try:
        app = shop()
        telemetry = instrument(
            app,
            settings=TelemetrySettings(metrics_exporter="none", log_format="none", access_log=False),
            metrics=[metrics.default()],
        )
        assert telemetry.registry is REGISTRY
        async with lifespan_client(app) as client:
            await client.get("/items/7")
        labels = {"method": "GET", "handler": "/items/{item_id}", "status": "2xx"}
        assert REGISTRY.get_sample_value("http_requests_total", labels) == 1
        with pytest.raises(InstrumentationError, match="registry has metrics of these names"):
            instrument(shop(), metrics=[lambda _: None], settings=TelemetrySettings(metrics_exporter="none"))
    finally:
        for collector in set(REGISTRY._collector_to_names) - before:
            REGISTRY.unregister(collector)


@pytest.mark.anyio
async def test_a_function_that_fails_does_not_affect_the_others() -> None:
    seen: list[Info] = []

    def fails(_: Info) -> None:
        raise ValueError("metrics")

    app = shop()
    registry = CollectorRegistry()
    instrument(
        app,
        registry=registry,
        settings=TelemetrySettings(metrics_exporter="none", log_format="none", access_log=False),
        metrics=[fails, None, seen.append],
    )
    async with lifespan_client(app) as client:
        assert (await client.get("/items/7")).status_code == 200
    assert len(seen) == 1
    assert (registry.get_sample_value("observability_errors_total", {"where": "custom_metrics"}) or 0) >= 1
