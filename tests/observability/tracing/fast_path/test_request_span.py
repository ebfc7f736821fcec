"""What collectors get of a request is the same, whether its span was made by the SDK or only when it was finished."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from opentelemetry import trace
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.trace import Span, SpanContext, Status, StatusCode, TraceFlags
from prometheus_client import CollectorRegistry

from observability import TelemetrySettings, instrument
from observability.request.record import request_record
from observability.testing import lifespan_client
from observability.tracing.fast_path.request_span import LazyServerSpan
from tests.servers.otlp import Collector, collecting

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
NOT_RANDOM = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03"
ELSEWHERE = SpanContext(7, 8, is_remote=True, trace_flags=TraceFlags(1))
CHANGES: dict[str, Callable[[Span], Any]] = {
    "nothing": lambda span: span.get_span_context(),
    "an attribute": lambda span: span.set_attribute("shop.item", 7),
    "attributes": lambda span: span.set_attributes({"shop.items": [1, 2], "shop.name": "x"}),
    "an event": lambda span: span.add_event("sold", {"price": 9.99}, timestamp=1),
    "a link": lambda span: span.add_link(ELSEWHERE, {"why": "cart"}),
    "another name": lambda span: span.update_name("the route names it all the same"),
    "a status": lambda span: span.set_status(Status(StatusCode.ERROR, "sold out")),
    "success": lambda span: span.set_status(StatusCode.OK),
    "an exception": lambda span: span.record_exception(ValueError("x"), timestamp=1, attributes={"n": 1}),
}


def shop() -> FastAPI:
    app = FastAPI()

    @app.get("/changed/{what}")
    async def changed(what: str) -> bool:
        span = trace.get_current_span()
        CHANGES[what](span)
        return isinstance(span, LazyServerSpan)

    @app.get("/child")
    async def child() -> None:
        with trace.get_tracer("shop").start_as_current_span("inside"):
            pass

    @app.get("/raises")
    async def raises() -> None:
        raise ValueError("no such item")

    @app.get("/recorded")
    async def recorded(request: Request) -> None:
        record = request_record(request.scope)
        assert record is not None
        record.add_event("loop.blocked", {"seconds": 1.5})

    @app.get("/streams")
    async def streams() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"one"
            raise ValueError("the second is missing")

        return StreamingResponse(parts())

    return app


class _Listener(SpanProcessor):
    """Receives every span, so that the SDK has to create it."""


async def exported(collector: Collector, request: dict[str, Any], *, listens: bool, **settings: Any) -> list[bytes]:
    """Return what the collector got of one request, without what differs from time to time."""
    app = shop()
    given: dict[str, Any] = {"metrics_exporter": "none", "log_format": "none", "access_log": False}
    instrument(
        app,
        registry=CollectorRegistry(),
        settings=TelemetrySettings(**given | {"otlp_endpoint": collector.endpoint, "service_name": "shop"} | settings),
        span_processors=[_Listener()] if listens else [],
    )
    collector.messages.clear()
    async with lifespan_client(app) as client:
        await client.request(**{"method": "GET"} | request)
    found = []
    for group in collector.messages:
        for scope in group.scope_spans:
            found += [
                scope.scope.SerializeToString(deterministic=True)
                + scope.schema_url.encode()
                + group.schema_url.encode()
                + _timeless(span)
                for span in scope.spans
            ]
    return sorted(found)


def _timeless(span: SpanMessage) -> bytes:
    assert 0 < span.start_time_unix_nano <= span.end_time_unix_nano
    span.start_time_unix_nano = span.end_time_unix_nano = 0
    span.span_id = b""
    if span.name == "inside" or span.parent_span_id != bytes.fromhex(CALLER.split("-")[2]):
        span.parent_span_id = span.parent_span_id and b"a request"
    if span.trace_id != bytes.fromhex(CALLER.split("-")[1]):
        span.trace_id = b""
    for event in span.events:
        event.time_unix_nano = 0
    span.attributes.sort(key=lambda attribute: attribute.key)
    return bytes(span.SerializeToString(deterministic=True))


REQUESTS: dict[str, dict[str, Any]] = {
    **{f"changed {what}": {"url": f"/changed/{what}"} for what in CHANGES},
    "unknown path": {"url": "/nothing/here"},
    "a query": {"url": "/changed/nothing?token=geheim&page=1"},
    "another method": {"url": "/changed/nothing", "method": "FROBNICATE"},
    "with a parent": {
        "url": "/changed/nothing",
        "headers": {"traceparent": CALLER, "tracestate": "a=b", "baggage": "c=d"},
    },
    "with a parent with random ids": {"url": "/changed/nothing", "headers": {"traceparent": NOT_RANDOM}},
    "a changed one with a parent": {
        "url": "/changed/an event",
        "headers": {"traceparent": CALLER, "tracestate": "a=b"},
    },
    "an unusual client": {"url": "/changed/nothing", "headers": {"user-agent": b"\xe9" * 600}},
    "a child": {"url": "/child"},
    "an exception": {"url": "/raises"},
    "an event of the record": {"url": "/recorded"},
    "a broken stream": {"url": "/streams"},
}


@pytest.mark.anyio
@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS.keys())
async def test_a_collector_gets_what_the_sdk_would_send(request_: dict[str, Any]) -> None:
    with collecting() as collector:
        ours = await exported(collector, request_, listens=False)
        theirs = await exported(collector, request_, listens=True)
    assert len(ours) == (2 if request_["url"] == "/child" else 1)
    assert ours == theirs


@pytest.mark.anyio
@pytest.mark.parametrize(
    "request_",
    [{"url": "/changed/nothing"}, {"url": "/child", "headers": {"traceparent": CALLER, "tracestate": "a=b"}}],
    ids=["without a caller", "with a caller's state"],
)
async def test_fastapis_operations_are_what_the_sdk_would_send(request_: dict[str, Any]) -> None:
    with collecting() as collector:
        ours = await exported(collector, request_, listens=False, operation_spans=True)
        theirs = await exported(collector, request_, listens=True, operation_spans=True)
    assert len([one for one in ours if b"fastapi." in one]) == 3
    assert ours == theirs


@pytest.mark.anyio
async def test_an_operation_that_raises_has_the_error_and_its_children_are_below_it() -> None:
    with collecting() as collector:
        await exported(collector, {"url": "/raises"}, listens=False, operation_spans=True)
        (endpoint,) = collector.named("fastapi.endpoint")
        await exported(collector, {"url": "/child"}, listens=False, operation_spans=True)
        parents = {span.span_id: span.name for span in collector.spans}
        (inside,) = collector.named("inside")
    assert endpoint.attributes["error.type"] == "ValueError"
    assert endpoint.attributes["code.function.name"].endswith("shop.<locals>.raises")
    assert parents[inside.parent_id] == "fastapi.endpoint"


@pytest.mark.anyio
async def test_children_of_a_long_request_are_exported_while_it_runs() -> None:
    app = FastAPI()
    names: list[list[str]] = []

    @app.get("/streams")
    async def streams(request: Request) -> None:
        record = request_record(request.scope)
        assert record is not None
        tracer = trace.get_tracer("shop")
        tracer.start_span("early").end()
        record.started -= 60  # instead of a minute
        tracer.start_span("a minute later").end()
        names.append([snapshot.name for snapshot in record.snapshots or ()])

    with collecting() as collector:
        instrument(app, registry=CollectorRegistry(), settings=_quiet(collector.endpoint))
        async with lifespan_client(app) as client:
            await client.get("/streams")
    assert names == [[]]
    assert collector.names() == ["early", "a minute later", "GET /streams"]


@pytest.mark.anyio
@pytest.mark.parametrize("url", ["/raises", "/changed/nothing"], ids=["failed", "slow"])
async def test_retroactive_spans_are_the_same_too(url: str) -> None:
    settings: dict[str, Any] = {"traces_sampler": "always_off", "slow_request_s": 1e-9}
    with collecting() as collector:
        ours = await exported(collector, {"url": url}, listens=False, **settings)
        theirs = await exported(collector, {"url": url}, listens=True, **settings)
    assert len(ours) == 1
    assert b"flightdeck.retroactive" in ours[0]
    assert ours == theirs


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("variable", "value", "is_light"),
    [
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "128", True),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "3", False),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "5", False),
    ],
)
async def test_configured_limits_are_respected(
    variable: str, value: str, is_light: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with collecting() as collector:
        ours = await exported(collector, {"url": "/changed/nothing"}, listens=False)
        theirs = await exported(collector, {"url": "/changed/nothing"}, listens=True)
    assert ours == theirs
    with collecting() as collector:
        app = shop()
        instrument(app, registry=CollectorRegistry(), settings=_quiet(collector.endpoint))
        async with lifespan_client(app) as client:
            assert (await client.get("/changed/nothing")).json() is is_light


def _quiet(endpoint: str) -> TelemetrySettings:
    return TelemetrySettings(metrics_exporter="none", log_format="none", access_log=False, otlp_endpoint=endpoint)


@pytest.mark.anyio
async def test_what_is_added_after_the_end_is_discarded_and_nothing_is_sent_twice() -> None:
    held: list[Span] = []
    app = FastAPI()

    @app.get("/held")
    async def hold() -> None:
        held.append(trace.get_current_span())

    with collecting() as collector:
        instrument(app, registry=CollectorRegistry(), settings=_quiet(collector.endpoint))
        async with lifespan_client(app) as client:
            await client.get("/held")
            (span,) = held
            assert not span.is_recording()
            span.set_attribute("late", value=True)
            span.add_event("late")
            span.end()
        assert collector.names() == ["GET /held"]
    assert b"late" not in collector.messages[0].SerializeToString()


@pytest.mark.anyio
async def test_an_application_that_ends_the_span_itself_ends_it_once() -> None:
    app = FastAPI()

    @app.get("/ends")
    async def ends() -> bool:
        span = trace.get_current_span()
        span.end()
        return span.is_recording()

    with collecting() as collector:
        instrument(app, registry=CollectorRegistry(), settings=_quiet(collector.endpoint))
        async with lifespan_client(app) as client:
            assert (await client.get("/ends")).json() is False
        assert len(collector.spans) == 1
