"""Traces of requests: who decides, what is kept, what it says, and that nothing is recorded twice."""

from random import Random
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, HTTPException, Request
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import propagate, trace
from opentelemetry.baggage import get_baggage
from opentelemetry.sdk.trace.sampling import Decision, TraceIdRatioBased
from opentelemetry.trace import SpanKind, StatusCode
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from observability.privacy.scrub import redacted_query
from observability.testing import capture_telemetry, lifespan_client
from observability.tracing.sampling import HeadSampler

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"


def shop(**options: Any) -> FastAPI:
    app = FastAPI(**options)
    router = APIRouter(prefix="/items")

    @router.get("/{item_id}")
    async def item(item_id: int, request: Request) -> dict[str, str]:
        carried: dict[str, str] = {}
        propagate.inject(carried)
        if item_id == 13:
            raise ValueError("bad luck, token=abc123secret")
        if item_id == 503:
            raise HTTPException(503)
        with trace.get_tracer("shop").start_as_current_span("look it up"):
            return {**carried, "baggage": str(get_baggage("tenant")), "path": request.url.path}

    app.include_router(router)
    return app


async def get(app: FastAPI | Starlette, path: str, **headers: str) -> httpx.Response:
    async with lifespan_client(app) as client:
        return await client.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.anyio
async def test_a_sampled_request_is_one_span_in_the_stable_conventions() -> None:
    with capture_telemetry() as captured:
        app = shop()
        captured.instrument(app)
        response = await get(app, "/items/7?color=red&token=abc", user_agent="a test")
        span = captured.span("GET /items/{item_id}")
    assert span.kind is SpanKind.SERVER
    assert span.parent is None
    assert span.status.status_code is StatusCode.UNSET
    attributes = dict(span.attributes or {})
    assert attributes.pop("client.address") == "127.0.0.1"
    assert attributes == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/items/{item_id}",
        "network.protocol.version": "1.1",
        "server.address": "test",
        "url.path": "/items/7",
        "url.query": "color=REDACTED&token=REDACTED",
        "url.scheme": "http",
        "user_agent.original": "a test",
    }
    assert response.headers["x-trace-id"] == f"{span.context.trace_id:032x}"


@pytest.mark.anyio
@pytest.mark.parametrize("options", [{}, {"telemetry": {"tracing": True}}], ids=["default", "enabled"])
async def test_the_telemetry_of_fastapi_records_nothing_in_addition(options: dict[str, Any]) -> None:
    with capture_telemetry() as captured:
        sub = shop(**options)
        app = shop(**options)
        app.mount("/sub", sub)
        captured.instrument(app)
        await get(app, "/items/7")
        await get(app, "/sub/items/7")
        names = sorted(span.name for span in captured.spans())
    assert names == ["GET /items/{item_id}", "GET /sub/items/{item_id}", "look it up", "look it up"]


@pytest.mark.anyio
async def test_spans_of_the_application_belong_to_the_request() -> None:
    with capture_telemetry() as captured:
        app = shop()
        captured.instrument(app)
        await get(app, "/items/7")
        request, own = captured.span("GET /items/{item_id}"), captured.span("look it up")
    assert own.parent == request.context
    assert own.resource == request.resource


@pytest.mark.anyio
@pytest.mark.parametrize("sampled", ["00", "01"])
async def test_the_caller_decides_and_its_trace_is_continued(sampled: str) -> None:
    with capture_telemetry(traces_sampler="parentbased_traceidratio", traces_sampler_arg=1 - int(sampled)) as captured:
        app = shop()
        captured.instrument(app)
        response = await get(
            app, "/items/7", traceparent=f"00-{TRACE}-{SPAN}-{sampled}", tracestate="vendor=1", baggage="tenant=acme"
        )
        spans = captured.spans("GET /items/{item_id}")
    body = response.json()
    version, trace_id, span_id, flags = body["traceparent"].split("-")
    assert (version, trace_id) == ("00", TRACE)
    assert span_id != SPAN
    assert int(flags, 16) & 1 == int(sampled)
    assert body["tracestate"] == "vendor=1"
    assert body["baggage"] == "acme"
    assert response.headers["x-trace-id"] == TRACE
    assert len(spans) == int(sampled)
    for span in spans:
        assert span.parent is not None
        assert f"{span.parent.span_id:016x}" == SPAN


@pytest.mark.anyio
@pytest.mark.parametrize("header", ["garbage", f"00-{'0' * 32}-{SPAN}-01", f"ff-{TRACE}-{SPAN}-01", "00-1-2-01"])
async def test_an_impossible_caller_is_ignored(header: str) -> None:
    with capture_telemetry() as captured:
        app = shop()
        captured.instrument(app)
        assert (await get(app, "/items/7", traceparent=header)).status_code == 200
        assert captured.span("GET /items/{item_id}").parent is None


@pytest.mark.anyio
async def test_a_request_that_is_not_sampled_still_has_a_trace_to_pass_on() -> None:
    with capture_telemetry(traces_sampler="always_off") as captured:
        app = shop()
        captured.instrument(app)
        response = await get(app, "/items/7")
        assert captured.spans() == []
    _, trace_id, _, flags = response.json()["traceparent"].split("-")
    assert trace_id == response.headers["x-trace-id"]
    assert int(flags, 16) & 1 == 0


@given(trace_id=st.integers(1, 2**128 - 1), share=st.floats(0, 1))
def test_the_decision_is_the_one_every_other_service_makes(trace_id: int, share: float) -> None:
    ours = HeadSampler(share=share, parent_based=False).is_sampled(trace_id, None)
    theirs = TraceIdRatioBased(share).should_sample(None, trace_id, "x").decision
    assert ours is (theirs is Decision.RECORD_AND_SAMPLE)


def test_the_share_is_the_configured_one() -> None:
    sampler = HeadSampler(share=0.1, parent_based=True)
    random = Random(3)
    kept = sum(sampler.is_sampled(random.getrandbits(128), None) for _ in range(20_000))
    assert 0.09 < kept / 20_000 < 0.11


@pytest.mark.anyio
@pytest.mark.parametrize(("given_token", "kept"), [("let me in", 1), ("let me i", 0), ("", 0)])
async def test_an_authorised_caller_gets_a_trace(given_token: str, kept: int) -> None:
    with capture_telemetry(traces_sampler="always_off", sample_token="let me in") as captured:
        app = shop()
        captured.instrument(app)
        await get(app, "/items/7", x_sample_token=given_token)
        assert len(captured.spans("GET /items/{item_id}")) == kept


@pytest.mark.anyio
async def test_without_a_configured_token_no_request_is_authorised() -> None:
    with capture_telemetry(traces_sampler="always_off") as captured:
        app = shop()
        captured.instrument(app)
        await get(app, "/items/7", x_sample_token="")
        assert captured.spans() == []


@pytest.mark.anyio
@pytest.mark.parametrize("item", [13, 503])
async def test_a_failed_request_gets_a_retroactive_span(item: int) -> None:
    with capture_telemetry(traces_sampler="always_off") as captured:
        app = shop()
        captured.instrument(app)
        response = await get(app, f"/items/{item}")
        span = captured.span("GET /items/{item_id}")
        exemplars = [s.exemplar for s in captured.samples("http_request_duration_seconds_bucket") if s.exemplar]
    assert f"{span.context.trace_id:032x}" == response.headers["x-trace-id"]
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["flightdeck.retroactive"] is True
    assert [example.labels["trace_id"] for example in exemplars] == [response.headers["x-trace-id"]]


@pytest.mark.anyio
async def test_a_slow_request_gets_a_span_of_its_duration() -> None:
    with capture_telemetry(traces_sampler="always_off", slow_request_s=1e-9) as captured:
        app = shop()
        captured.instrument(app)
        response = await get(app, "/items/7", traceparent=f"00-{TRACE}-{SPAN}-00")
        span = captured.span("GET /items/{item_id}")
    assert f"{span.context.trace_id:032x}" == TRACE
    assert f"{span.context.span_id:016x}" == response.json()["traceparent"].split("-")[2]
    assert span.parent is not None
    assert span.start_time is not None
    assert span.end_time is not None
    assert 0 < span.end_time - span.start_time < 5e9


@pytest.mark.anyio
async def test_when_everything_is_slow_retroactive_spans_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("observability.tracing.tracing.RETROACTIVE_REQUESTS_PER_S", 3)
    monkeypatch.setattr("observability.core.limits.perf_counter", lambda: 1.0)
    with capture_telemetry(traces_sampler="always_off", slow_request_s=1e-9) as captured:
        app = shop()
        captured.instrument(app)
        async with lifespan_client(app) as client:
            for _ in range(10):
                await client.get("/items/7")
        assert len(captured.spans("GET /items/{item_id}")) == 3
        lost = captured.value("observability_export_total", signal="spans", outcome="dropped")
    assert lost == 7 * 2, "the other requests, with a child each"


@pytest.mark.anyio
async def test_an_exception_is_on_the_span_without_its_secrets() -> None:
    with capture_telemetry() as captured:
        app = shop()
        captured.instrument(app)
        await get(app, "/items/13")
        span = captured.span("GET /items/{item_id}")
    event = next(event for event in span.events if event.name == "exception")
    attributes = event.attributes or {}
    assert attributes["exception.type"] == "ValueError"
    assert "bad luck" in str(attributes["exception.message"])
    assert "abc123secret" not in str(attributes)
    assert (span.attributes or {})["error.type"] == "ValueError"
    assert (span.attributes or {})["http.response.status_code"] == 500


@pytest.mark.anyio
async def test_random_methods_are_one_name() -> None:
    with capture_telemetry() as captured:
        app = Starlette(routes=[Route("/", lambda _: PlainTextResponse(""))])
        captured.instrument(app)
        async with lifespan_client(app) as client:
            await client.request("BREW", "/")
        span = captured.span("HTTP /")
    assert (span.attributes or {})["http.request.method"] == "_OTHER"
    assert (span.attributes or {})["http.request.method_original"] == "BREW"


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        (b"a=1&b=2", "a=REDACTED&b=REDACTED"),
        (b"hunter2", "REDACTED"),
        (b"a=1;b=2&c", "a=REDACTED;b=REDACTED&c"),
        (b"a=b=c", "a=REDACTED"),
    ],
)
def test_query_values_are_left_out(query: bytes, shown: str) -> None:
    assert redacted_query(query) == shown


@pytest.mark.anyio
@pytest.mark.parametrize("sampled", [True, False])
async def test_fastapis_operations_are_spans_of_sampled_requests(sampled: bool) -> None:
    sampler = "always_on" if sampled else "always_off"
    with capture_telemetry(traces_sampler=sampler, operation_spans=True) as captured:
        app = shop()
        captured.instrument(app)
        await get(app, "/items/7")
        spans = {span.name: span for span in captured.spans()}
        await get(app, "/items/7", traceparent=f"00-{TRACE}-{SPAN}-01")
        continued = {span.name for span in captured.spans() if f"{span.context.trace_id:032x}" == TRACE}
    operations = {"fastapi.dependencies", "fastapi.endpoint", "fastapi.serialization"}
    names = {"GET /items/{item_id}", "look it up", *operations}
    assert spans.keys() == (names if sampled else set())
    assert continued == (names if sampled else set())
    if sampled:
        assert all(spans[name].parent == spans["GET /items/{item_id}"].context for name in operations)
        assert spans["look it up"].parent == spans["fastapi.endpoint"].context


@pytest.mark.anyio
@pytest.mark.parametrize("sampled", [True, False])
async def test_a_validation_failure_is_an_event_of_a_sampled_request(sampled: bool) -> None:
    with capture_telemetry(traces_sampler="always_on" if sampled else "always_off") as captured:
        app = shop()
        captured.instrument(app)
        assert (await get(app, "/items/seven")).status_code == 422
        events = [(event.name, dict(event.attributes or {})) for span in captured.spans() for event in span.events]
    expected = [("fastapi.validation.failed", {"fastapi.validation.error_count": 1})]
    assert events == (expected if sampled else [])
