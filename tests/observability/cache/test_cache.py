from unittest.mock import AsyncMock

import pytest
from fastapi import FastAPI, WebSocket
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry

from observability.cache.cache import RESULTS, CacheMetrics
from observability.metrics.histogram import exemplar_of
from observability.testing import capture_telemetry, lifespan_client


@pytest.mark.parametrize("result", RESULTS)
def test_a_lookup_is_counted_and_timed_under_its_cache_level_and_result(result: str) -> None:
    registry = CollectorRegistry()
    metrics = CacheMetrics(registry)

    metrics.observe("report", level="shared", result=result, seconds=0.002)

    labels = {"cache": "report", "level": "shared", "result": result}
    assert registry.get_sample_value("cache_requests_total", labels) == 1
    assert registry.get_sample_value("cache_request_duration_seconds_sum", labels) == pytest.approx(0.002)


def test_an_unknown_result_is_counted_as_other() -> None:
    registry = CollectorRegistry()

    CacheMetrics(registry).observe("report", level="shared", result="key:/reports?x=1", seconds=0.1)

    labels = {"cache": "report", "level": "shared", "result": "other"}
    assert registry.get_sample_value("cache_requests_total", labels) == 1


def test_cache_names_made_of_user_input_end_in_one_series() -> None:
    registry = CollectorRegistry()
    metrics = CacheMetrics(registry)

    for number in range(1000):
        metrics.observe(f"user-{number}", level="local", result="hit", seconds=0.001)

    samples = [
        sample for family in registry.collect() for sample in family.samples if sample.name == "cache_requests_total"
    ]
    assert len(samples) == 101
    assert sum(sample.value for sample in samples) == 1000
    assert {sample.labels["cache"] for sample in samples if sample.value > 1} == {"other"}


def test_what_a_cache_holds_is_the_last_value_and_invalidations_add_up() -> None:
    registry = CollectorRegistry()
    metrics = CacheMetrics(registry)

    metrics.set_size("board", level="local", entries=3, size_bytes=900)
    metrics.set_size("board", level="local", entries=2, size_bytes=600)
    metrics.count_invalidations("board", level="local")
    metrics.count_invalidations("board", level="local", entries=4)

    labels = {"cache": "board", "level": "local"}
    assert registry.get_sample_value("cache_entries", labels) == 2
    assert registry.get_sample_value("cache_size_bytes", labels) == 600
    assert registry.get_sample_value("cache_invalidations_total", labels) == 5


def test_inside_a_sampled_trace_a_lookup_leaves_an_event_and_an_exemplar() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    registry = CollectorRegistry()
    metrics = CacheMetrics(registry)

    with provider.get_tracer("test").start_as_current_span("GET /reports") as span:
        metrics.observe("report", level="local", result="hit", seconds=0.001)

    (finished,) = exporter.get_finished_spans()
    (event,) = finished.events
    assert (event.name, dict(event.attributes or {})) == (
        "flightdeck.cache.lookup",
        {"flightdeck.cache.name": "report", "flightdeck.cache.level": "local", "flightdeck.cache.result": "hit"},
    )
    exemplars = [sample.exemplar for family in registry.collect() for sample in family.samples if sample.exemplar]
    assert [link.labels for link in exemplars] == [exemplar_of(span)]


@pytest.mark.anyio
@pytest.mark.parametrize(("sampler", "events"), [("always_on", 1), ("always_off", 0)])
async def test_a_lookup_adds_an_event_and_an_exemplar_in_a_sampled_request_only(sampler: str, events: int) -> None:
    with capture_telemetry(traces_sampler=sampler) as captured:
        app = FastAPI()
        metrics = CacheMetrics(captured.registry)

        @app.get("/reports")
        async def reports() -> None:
            metrics.observe("report", level="local", result="hit", seconds=0.001)

        captured.instrument(app)
        async with lifespan_client(app) as client:
            await client.get("/reports")
        names = [event.name for span in captured.spans() for event in span.events]
        linked = [sample for sample in captured.samples("cache_request_duration_seconds_bucket") if sample.exemplar]
        assert (names, len(linked)) == (["flightdeck.cache.lookup"] * events, events)
        assert captured.value("cache_requests_total", cache="report", level="local", result="hit") == 1


@pytest.mark.anyio
async def test_an_unsampled_request_that_was_slow_is_exported_with_its_lookups() -> None:
    with capture_telemetry(traces_sampler="always_off", slow_request_s=1e-9) as captured:
        app = FastAPI()
        metrics = CacheMetrics(captured.registry)

        @app.get("/reports")
        async def reports() -> None:
            metrics.observe("report", level="local", result="miss", seconds=0.001)
            with trace.get_tracer("shop").start_as_current_span("compute"):
                metrics.observe("report", level="shared", result="hit", seconds=0.001)

        captured.instrument(app)
        async with lifespan_client(app) as client:
            await client.get("/reports")
        levels = {
            span.name: [(event.attributes or {})["flightdeck.cache.level"] for event in span.events]
            for span in captured.spans()
        }
    assert levels == {"GET /reports": ["local"], "compute": ["shared"]}


@pytest.mark.anyio
@pytest.mark.parametrize(("sampler", "events"), [("always_on", ["flightdeck.cache.lookup"]), ("always_off", [])])
async def test_lookups_of_a_websocket_are_events_of_its_span_if_it_is_sampled(sampler: str, events: list[str]) -> None:
    with capture_telemetry(traces_sampler=sampler, slow_request_s=1e-9) as captured:
        app = FastAPI()
        metrics = CacheMetrics(captured.registry)

        @app.websocket("/live")
        async def live(websocket: WebSocket) -> None:
            metrics.observe("report", level="local", result="hit", seconds=0.001)
            await websocket.close()

        captured.instrument(app)
        async with app.router.lifespan_context(app):
            await app(
                {"type": "websocket", "path": "/live", "query_string": b"", "headers": []}, AsyncMock(), AsyncMock()
            )
        assert captured.value("websocket_connections_total", handler="/live") == 1
        assert [event.name for span in captured.spans() for event in span.events] == events
