"""Unsampled requests that turn out slow or failed have the spans that sampled ones have; all others cost and leave
nothing.
"""

import asyncio
import gc
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import sleep
from typing import Any

import httpx
import pytest
from fastapi import BackgroundTasks, FastAPI, HTTPException
from opentelemetry import propagate, trace
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import OperationalError

from observability import TelemetrySettings, instrument
from observability.request.record import MAX_CHILDREN
from observability.testing import capture_telemetry, lifespan_client
from observability.tracing.kept_span import MAX_KEPT
from tests.servers.asgi import serving
from tests.servers.otlp import Collector, collecting
from tests.servers.prometheus import exemplars, scraping

ELSEWHERE = SpanContext(7, 8, is_remote=True, trace_flags=TraceFlags(1))
UNSAMPLED: dict[str, Any] = {"traces_sampler": "always_off", "slow_request_s": 1e-9}


def _nested(tracer: trace.Tracer) -> None:
    with tracer.start_as_current_span("outer", kind=SpanKind.PRODUCER, attributes={"depth": 1}):
        tracer.start_span("inner", links=[Link(ELSEWHERE, {"why": "cart"})]).end()


def _decorated(tracer: trace.Tracer) -> None:
    @tracer.start_as_current_span("decorated")
    def work() -> None:
        trace.get_current_span().set_attribute("is", "inside")

    work()


def _handled(tracer: trace.Tracer) -> None:
    with tracer.start_as_current_span("handled") as span:
        span.record_exception(ValueError("first"), attributes={"attempt": 1}, timestamp=5)
        span.set_status(Status(StatusCode.ERROR, "first"))
        span.set_status(StatusCode.OK)
        span.set_status(StatusCode.ERROR, "ignored after OK")


def _raised(tracer: trace.Tracer) -> None:
    with suppress(ValueError), tracer.start_as_current_span("raises"):
        raise ValueError("no such item")


def _changed(tracer: trace.Tracer) -> None:
    with tracer.start_as_current_span("before", start_time=11) as span:
        assert span.is_recording()
        span.update_name("after")
        span.set_attributes({"list": [1, 2], "pi": 3.5, "yes": True, "text": "x"})
        span.set_attribute("text", "y")
        span.add_event("sold", {"price": 9.99}, timestamp=1)
        span.add_link(ELSEWHERE)
    span.set_attribute("late", value=True)
    span.end()


def _server_span(_: trace.Tracer) -> None:
    span = trace.get_current_span()
    assert span.is_recording()
    span.set_attribute("user.id", "u7")
    span.add_event("paid", {"amount": 3}, timestamp=1)
    span.add_link(ELSEWHERE)
    span.set_status(StatusCode.ERROR, "card")


CHILDREN: dict[str, Callable[[trace.Tracer], None]] = {
    "nested": _nested,
    "decorated": _decorated,
    "handled": _handled,
    "raised": _raised,
    "changed": _changed,
    "the server span": _server_span,
}


def shop(engine: Engine, upstream: httpx.AsyncClient | None = None) -> FastAPI:
    app = FastAPI()

    @app.get("/children/{what}")
    async def children(what: str) -> None:
        CHILDREN[what](trace.get_tracer("shop", "1.0"))

    @app.get("/sql")
    def sql() -> None:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
            with trace.get_tracer("shop").start_as_current_span("stage"):
                connection.execute(text("SELECT 2"))
            with pytest.raises(OperationalError):
                connection.execute(text("SELECT x FROM missing"))

    @app.get("/raises")
    def raises() -> None:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
        raise ValueError("no such item")

    @app.get("/503")
    async def unavailable() -> None:
        with trace.get_tracer("shop").start_as_current_span("work"):
            raise HTTPException(503)

    @app.get("/upstream")
    async def call() -> dict[str, Any]:
        assert upstream is not None
        received: dict[str, Any] = (await upstream.get("http://upstream/thing")).json()
        return received

    return app


class _Listener(SpanProcessor):
    """Receives every span, so that the SDK has to make it."""


async def _echo(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"traceparent": request.headers.get("traceparent")})


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return create_engine(f"sqlite:///{tmp_path / 'shop.db'}")


async def exported(engine: Engine, url: str, *, listens: bool = False, **settings: Any) -> list[dict[str, Any]]:
    """Return the spans of one request as the collector received them, without times and ids but with their tree."""
    upstream = httpx.AsyncClient(transport=httpx.MockTransport(_echo))
    app = shop(engine, upstream)
    with collecting() as collector:
        instrument(
            app,
            engines={"primary": engine},
            http_clients={"upstream": upstream},
            registry=CollectorRegistry(),
            settings=TelemetrySettings.model_validate(_QUIET | {"otlp_endpoint": collector.endpoint} | settings),
            span_processors=[_Listener()] if listens else [],
        )
        async with lifespan_client(app) as client:
            await client.get(url)
    return _tree(collector)


_QUIET: dict[str, Any] = {"metrics_exporter": "none", "log_format": "none", "access_log": False}


def _tree(collector: Collector) -> list[dict[str, Any]]:
    spans = [
        (scope.scope.name, scope.scope.version, span)
        for group in collector.messages
        for scope in group.scope_spans
        for span in scope.spans
    ]
    names = {span.span_id: span.name for _, _, span in spans}
    assert len(names) == len(spans), "ids are unique"
    assert len({span.trace_id for _, _, span in spans}) == 1
    assert all(0 < span.start_time_unix_nano <= span.end_time_unix_nano for _, _, span in spans)
    return sorted(
        (
            {
                "scope": (name, version),
                "name": span.name,
                "parent": names[span.parent_span_id] if span.parent_span_id else None,
                "kind": span.kind,
                "attributes": sorted(str(one) for one in span.attributes if one.key != "flightdeck.retroactive"),
                "events": [
                    (event.name, sorted(str(one) for one in event.attributes if one.key != "exception.escaped"))
                    for event in span.events
                ],
                "links": str(span.links),
                "status": str(span.status),
                "flags": span.flags,
            }
            for name, version, span in spans
        ),
        key=lambda span: (span["name"], span["attributes"]),
    )


URLS = {**{what: f"/children/{what}" for what in CHILDREN}, "SQL": "/sql", "HTTP": "/upstream", "failed": "/503"}


@pytest.mark.anyio
@pytest.mark.parametrize("listens", [False, True], ids=["exporter alone", "with another processor"])
@pytest.mark.parametrize("url", URLS.values(), ids=URLS.keys())
async def test_a_slow_or_failed_request_has_the_spans_of_a_sampled_one(engine: Engine, url: str, listens: bool) -> None:
    sampled = await exported(engine, url, listens=True)
    kept = await exported(engine, url, listens=listens, **UNSAMPLED)
    assert len(kept) > (0 if url.endswith("span") else 1)
    for ours, theirs in zip(kept, sampled, strict=True):
        for event, expected in zip(ours["events"], theirs["events"], strict=True):
            assert event[0] == expected[0]
            if event[0] != "exception":  # a traceback names the lines of this test
                assert event == expected
        assert {**ours, "events": []} == {**theirs, "events": []}


@pytest.mark.anyio
async def test_a_request_that_was_neither_slow_nor_failed_exports_nothing(engine: Engine) -> None:
    with collecting() as collector:
        app = shop(engine)
        settings = TelemetrySettings.model_validate(
            _QUIET | {"otlp_endpoint": collector.endpoint, "traces_sampler": "always_off"}
        )
        instrument(app, engines={"primary": engine}, registry=CollectorRegistry(), settings=settings)
        async with lifespan_client(app) as client:
            for url in ("/sql", "/children/nested", "/children/the server span"):
                await client.get(url)
    assert collector.spans == []


@pytest.mark.anyio
async def test_what_an_outgoing_call_propagates_is_its_span(engine: Engine) -> None:
    upstream = httpx.AsyncClient(transport=httpx.MockTransport(_echo))
    app = shop(engine, upstream)
    with collecting() as collector:
        settings = TelemetrySettings.model_validate(_QUIET | {"otlp_endpoint": collector.endpoint} | UNSAMPLED)
        instrument(app, http_clients={"upstream": upstream}, registry=CollectorRegistry(), settings=settings)
        async with lifespan_client(app) as client:
            _, trace_id, span_id, flags = (await client.get("/upstream")).json()["traceparent"].split("-")
    (call,) = collector.named("GET")
    assert (call.trace_id, call.span_id) == (trace_id, span_id)
    assert int(flags, 16) & 1 == 0, "other services do not record what is not sampled"


@pytest.mark.anyio
async def test_children_are_bounded_and_the_rest_is_counted() -> None:
    app = FastAPI()

    @app.get("/many")
    async def many() -> None:
        tracer = trace.get_tracer("shop")
        for number in range(MAX_CHILDREN + 7):
            tracer.start_span(str(number)).end()

    with capture_telemetry(**UNSAMPLED) as captured:
        captured.instrument(app)
        async with lifespan_client(app) as client:
            await client.get("/many")
        kept = [span.name for span in captured.spans() if span.name != "GET /many"]
        lost = captured.value("observability_export_total", signal="spans", outcome="dropped")
    assert kept == [str(number) for number in range(MAX_CHILDREN)]
    assert lost == 7


@pytest.mark.anyio
async def test_what_is_added_to_a_span_is_bounded() -> None:
    app = FastAPI()

    @app.get("/much")
    async def much() -> None:
        with trace.get_tracer("shop").start_as_current_span("much") as span:
            for number in range(MAX_KEPT + 3):
                span.set_attribute(str(number), number)
                span.add_event(str(number))
                span.add_link(ELSEWHERE)

    with capture_telemetry(**UNSAMPLED) as captured:
        captured.instrument(app)
        async with lifespan_client(app) as client:
            await client.get("/much")
        span = captured.span("much")
    assert len(span.attributes or {}) == len(span.events) == len(span.links) == MAX_KEPT


@pytest.mark.anyio
@pytest.mark.parametrize("is_slow", [True, False], ids=["slow", "fast"])
async def test_a_child_that_ends_after_its_request_is_exported_if_the_request_was(is_slow: bool) -> None:
    app = FastAPI()
    finish = asyncio.Event()
    tasks: list[asyncio.Task[None]] = []

    async def work() -> None:
        tracer = trace.get_tracer("shop")
        with tracer.start_as_current_span("starts before"):
            await finish.wait()
        with tracer.start_as_current_span("starts after"):
            pass

    @app.get("/spawns")
    async def spawns() -> None:
        tasks.append(asyncio.create_task(work()))
        await asyncio.sleep(0)

    with capture_telemetry(traces_sampler="always_off", slow_request_s=1e-9 if is_slow else 60) as captured:
        captured.instrument(app)
        async with lifespan_client(app) as client:
            await client.get("/spawns")
            finish.set()
            await tasks[0]
        spans = {span.name: span for span in captured.spans()}
    assert spans.keys() == ({"GET /spawns", "starts before", "starts after"} if is_slow else set())
    for name in spans.keys() - {"GET /spawns"}:
        assert spans[name].parent == spans["GET /spawns"].context


@pytest.mark.anyio
async def test_a_request_is_freed_without_the_garbage_collector(engine: Engine) -> None:
    """It refers to its children, and they refer to it."""
    app = shop(engine)
    held: list[weakref.ref[Any]] = []

    @app.get("/held")
    async def hold() -> None:
        CHILDREN["nested"](trace.get_tracer("shop"))
        CHILDREN["the server span"](trace.get_tracer("shop"))
        span: Any = trace.get_current_span()
        held.append(weakref.ref(span.record))

    with capture_telemetry(traces_sampler="always_off", otlp_endpoint="http://127.0.0.1:9") as captured:
        captured.instrument(app)
        async with lifespan_client(app) as client:
            await client.get("/held")
            gc.collect()
            gc.disable()
            try:
                await client.get("/held")
                await asyncio.sleep(0)
                assert held[1]() is None
            finally:
                gc.enable()


@pytest.mark.anyio
async def test_the_exception_of_a_child_has_no_secrets() -> None:
    app = FastAPI()

    @app.get("/leaks")
    async def leaks() -> None:
        with trace.get_tracer("shop").start_as_current_span("child"):
            raise ValueError("token=abc123secret")

    with capture_telemetry(traces_sampler="always_off") as captured:
        captured.instrument(app)
        async with lifespan_client(app) as client:
            await client.get("/leaks")
        (event,) = captured.span("child").events
    assert "abc123secret" not in str(event.attributes)


@pytest.mark.anyio
async def test_code_that_reads_the_span_of_a_child_does_not_fail() -> None:
    app = FastAPI()
    read: dict[str, Any] = {}

    @app.get("/reads")
    async def reads() -> None:
        with trace.get_tracer("shop", "1.0").start_as_current_span("child", attributes={"a": 1}) as span:
            some: Any = span
            assert repr(span)
            assert not hasattr(span, "no_such_thing")
            read.update(
                name=some.name, kind=some.kind, attributes=dict(some.attributes), scope=some.instrumentation_scope.name
            )
            read.update(has_parent=some.parent is not None, end=some.end_time)

    with capture_telemetry(traces_sampler="always_off") as captured:
        captured.instrument(app)
        async with lifespan_client(app) as client:
            await client.get("/reads")
    assert read == {
        "name": "child",
        "kind": SpanKind.INTERNAL,
        "attributes": {"a": 1},
        "scope": "shop",
        "has_parent": True,
        "end": None,
    }


@pytest.mark.anyio
async def test_background_tasks_belong_to_the_request() -> None:
    app = FastAPI()

    def later() -> None:
        with trace.get_tracer("shop").start_as_current_span("later"):
            carried: dict[str, str] = {}
            propagate.inject(carried)

    @app.get("/background")
    async def background(tasks: BackgroundTasks) -> None:
        tasks.add_task(later)

    with capture_telemetry(**UNSAMPLED) as captured:
        captured.instrument(app)
        async with lifespan_client(app) as client:
            await client.get("/background")
        request, own = captured.span("GET /background"), captured.span("later")
    assert own.parent == request.context


def test_at_one_percent_every_slow_and_failed_request_has_its_statements_and_an_exemplar(engine: Engine) -> None:
    """Under a real server: each failing route is requested once, among many requests that are fine."""
    app, failing = FastAPI(), [f"/fails/{number}" for number in range(30)]

    def query() -> None:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))

    def fails() -> None:
        query()
        raise HTTPException(503)

    app.get("/fine")(query)
    for path in failing:
        app.get(path)(fails)
    with collecting() as collector:
        settings: dict[str, Any] = _QUIET | {
            "metrics_exporter": "prometheus",
            "metrics_port": 0,
            "otlp_endpoint": collector.endpoint,
            "traces_sampler": "parentbased_traceidratio",
            "traces_sampler_arg": 0.01,
        }
        telemetry = instrument(
            app,
            engines={"primary": engine},
            registry=CollectorRegistry(),
            settings=TelemetrySettings.model_validate(settings),
        )
        with serving(app) as url, httpx.Client(base_url=url) as client:
            trace_ids = {}
            for path in failing:
                for _ in range(5):
                    assert client.get("/fine").status_code == 200
                trace_ids[path] = client.get(path).headers["x-trace-id"]
            accept = {"accept": "application/openmetrics-text"}
            metrics = httpx.get(f"http://127.0.0.1:{telemetry.metrics_port}/metrics", headers=accept).text
    statements = {span.trace_id: span for span in collector.named("SELECT")}
    for path, trace_id in trace_ids.items():
        (request,) = collector.named(f"GET {path}")
        assert request.trace_id == trace_id
        assert statements[trace_id].parent_id == request.span_id
        for metric in ("http_request_duration_seconds", "db_queries_per_request"):
            assert any(
                line.startswith(f"{metric}_bucket")
                and f'handler="{path}"' in line
                and f'trace_id="{trace_id}"' in line
                and f'span_id="{request.span_id}"' in line
                for line in metrics.splitlines()
            ), (metric, path)


@pytest.mark.server("prometheus")
def test_prometheus_has_an_exemplar_of_every_slow_and_failed_request_at_one_percent(
    engine: Engine, tmp_path: Path
) -> None:
    """Each route is requested once, so that no exemplar replaces another; their traces have the statement."""
    app, slow, failing = FastAPI(), [f"/slow/{n}" for n in range(20)], [f"/fails/{n}" for n in range(20)]

    def query() -> None:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))

    def is_slow() -> None:
        query()
        sleep(0.03)

    def fails() -> None:
        query()
        raise HTTPException(503)

    app.get("/fine")(query)
    for path in slow:
        app.get(path)(is_slow)
    for path in failing:
        app.get(path)(fails)
    with collecting() as collector:
        settings: dict[str, Any] = _QUIET | {
            "metrics_exporter": "prometheus",
            "metrics_port": 0,
            "otlp_endpoint": collector.endpoint,
            "traces_sampler": "parentbased_traceidratio",
            "traces_sampler_arg": 0.01,
            "slow_request_s": 0.03,
        }
        telemetry = instrument(
            app,
            engines={"primary": engine},
            registry=CollectorRegistry(),
            settings=TelemetrySettings.model_validate(settings),
        )
        with serving(app) as url, httpx.Client(base_url=url) as client:
            expected = set()
            for path in (*slow, *failing):
                assert client.get("/fine").status_code == 200
                expected.add(client.get(path).headers["x-trace-id"])
            with scraping(f"127.0.0.1:{telemetry.metrics_port}", tmp_path) as prometheus:
                metric = 'http_request_duration_seconds_bucket{handler=~"/(slow|fails)/.+"}'
                linked = exemplars(prometheus, metric, until=expected.issubset)
    assert linked == expected
    assert {span.trace_id for span in collector.named("SELECT")} >= expected


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("settings", "has_exemplar"),
    [
        ({"access_log": True, "log_format": "json"}, True),
        ({"access_log": True, "log_format": "json", "traces_sampler": "always_off"}, False),
        ({"access_log": False, "log_format": "json"}, False),
        ({"access_log": True, "log_format": "none"}, False),
    ],
    ids=["in the log", "in the log, not sampled", "no access log", "no log"],
)
async def test_without_an_endpoint_exemplars_name_the_traces_that_are_in_the_log(
    engine: Engine, settings: dict[str, Any], has_exemplar: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    app = shop(engine)
    given = {"metrics_exporter": "none", "traces_exporter": "none"} | settings
    registry = CollectorRegistry()
    instrument(
        app,
        engines={"primary": engine},
        registry=registry,
        settings=TelemetrySettings.model_validate(given),
    )
    async with lifespan_client(app) as client:
        fine = await client.get("/sql")
        failed = await client.get("/503")
    found = {
        (family.name, sample.exemplar.labels["trace_id"])
        for family in registry.collect()
        for sample in family.samples
        if sample.exemplar
    }
    names = ("http_request_duration_seconds", "db_client_operation_duration_seconds", "db_queries_per_request")
    expected = {(name, fine.headers["x-trace-id"]) for name in names} if has_exemplar else set()
    assert expected <= found
    is_written = settings["access_log"] and settings["log_format"] != "none"
    assert (("http_request_duration_seconds", failed.headers["x-trace-id"]) in found) is is_written
    assert (failed.headers["x-trace-id"] in capsys.readouterr().err) is is_written
