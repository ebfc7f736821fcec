"""What is kept of a request is bounded, however long it or a task of it lives."""

import asyncio

import pytest
from fastapi import FastAPI, WebSocket
from prometheus_client import CollectorRegistry
from sqlalchemy import create_engine, text
from websockets.sync.client import connect

from observability.http.metrics import HttpMetrics
from observability.request.record import MAX_EVENTS, MAX_STATEMENTS, RequestRecord, current_request
from observability.request.route_table import RouteTable
from observability.testing import capture_telemetry, lifespan_client
from tests.servers.asgi import serving


async def test_the_statements_of_a_request_are_counted_but_not_all_kept() -> None:
    engine, app = create_engine("sqlite://"), FastAPI()
    kept: list[int] = []

    @app.get("/")
    def read() -> None:
        with engine.connect() as connection:
            for _ in range(MAX_STATEMENTS + 7):
                connection.execute(text("SELECT 1"))
        record = current_request.get()
        assert record is not None
        kept.append(len(record.statements or ()))

    with capture_telemetry() as captured:
        captured.instrument(app, engines={"primary": engine})
        async with lifespan_client(app) as client:
            await client.get("/")
        assert captured.value("db_queries_per_request_sum") == MAX_STATEMENTS + 7
    assert kept == [MAX_STATEMENTS]


def test_the_events_of_a_connection_are_bounded_and_in_its_span() -> None:
    app = FastAPI()

    @app.websocket("/")
    async def talk(websocket: WebSocket) -> None:
        record = current_request.get()
        assert record is not None
        for number in range(MAX_EVENTS + 10):
            record.add_event("event", {"number": number})
        await websocket.accept()
        await asyncio.sleep(0)
        await websocket.close()

    with capture_telemetry() as captured:
        captured.instrument(app)
        with serving(app) as url, connect(url.replace("http", "ws")) as socket:
            list(socket)
        (span,) = captured.spans("WEBSOCKET /")
    assert len(span.events) == MAX_EVENTS
    assert {event.name for event in span.events} == {"event"}


@pytest.mark.parametrize("status", [200, 42])
def test_methods_of_clients_and_invalid_statuses_are_one_series(status: int) -> None:
    registry = CollectorRegistry()
    metrics = HttpMetrics(registry, bounds_s=(1.0,))
    for number in range(50):
        scope = {"type": "http", "method": f"M{number}", "path": "/", "headers": []}
        record = RequestRecord(scope, RouteTable(FastAPI()))
        metrics.observe(record, "/", status + number if status == 42 else status, record.started)
    samples = [
        sample for family in registry.collect() for sample in family.samples if sample.name == "http_requests_total"
    ]
    assert [sample.value for sample in samples] == [50.0]
