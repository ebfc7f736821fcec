import logging

import pytest
import structlog
from fastapi import FastAPI
from opentelemetry import trace
from prometheus_client import Counter
from sqlalchemy import create_engine, text

from observability.core.internal_errors import suppress_internal_errors
from observability.testing import CapturedTelemetry, capture_telemetry, lifespan_client


def shop() -> FastAPI:
    app = FastAPI()

    @app.get("/books/{number}")
    def book(number: int) -> int:
        with trace.get_tracer("shop").start_as_current_span("look up", attributes={"book.number": number}):
            return number

    return app


async def request(captured: CapturedTelemetry, *paths: str) -> None:
    app = shop()
    captured.instrument(app)
    async with lifespan_client(app) as client:
        for path in paths:
            await client.get(path)


async def test_a_value_is_the_sum_over_the_other_labels() -> None:
    with capture_telemetry() as captured:
        await request(captured, "/books/1", "/books/2", "/books/x")
    assert captured.value("http_requests_total", handler="/books/{number}", code="200") == 2
    assert captured.value("http_requests_total", handler="/books/{number}") == 3
    assert captured.value("http_requests_total", code="500") == 0
    assert len(captured.samples("http_requests_total")) == 2


def test_a_name_that_no_metric_has_is_a_mistake() -> None:
    with capture_telemetry() as captured:
        Counter("orders_total", "Orders.", ("status",), registry=captured.registry)
        assert captured.value("orders_total", status="sent") == 0
        with pytest.raises(KeyError, match=r"no metric 'order_total'; there are .*orders"):
            captured.value("order_total")


async def test_spans_are_found_by_name_and_attributes() -> None:
    with capture_telemetry() as captured:
        await request(captured, "/books/1", "/books/2")
    assert len(captured.spans("look up")) == 2
    assert (captured.span("look up", book__number=2).attributes or {})["book.number"] == 2
    assert [span.name for span in captured.spans()] == ["look up", "GET /books/{number}"] * 2


@pytest.mark.parametrize("name", ["look up", "nothing"])
async def test_the_one_span_must_be_one(name: str) -> None:
    with capture_telemetry() as captured:
        await request(captured, "/books/1", "/books/2")
        with pytest.raises(LookupError, match=f"spans '{name}'; there are look up, GET"):
            captured.span(name)


async def test_each_test_starts_without_telemetry() -> None:
    for _ in range(3):
        with capture_telemetry() as captured:
            await request(captured, "/books/1")
        assert captured.value("http_requests_total") == 1
        assert len(captured.spans("look up")) == 1


def test_an_engine_that_outlives_the_test_reports_to_the_test_that_runs() -> None:
    engine = create_engine("sqlite://")
    for _ in range(3):
        with capture_telemetry() as captured:
            captured.instrument(shop(), engines={"primary": engine})
            with engine.connect() as connection:
                connection.execute(text("SELECT 1"))
        assert (
            captured.value("db_client_operation_duration_seconds_count", db_client_connection_pool_name="primary") == 1
        )
    engine.dispose()


def test_telemetry_that_fails_fails_the_test() -> None:
    with capture_telemetry(), pytest.raises(ZeroDivisionError), suppress_internal_errors("somewhere"):
        raise ZeroDivisionError


async def test_settings_are_chosen_by_name() -> None:
    with capture_telemetry(response_headers=()) as captured:
        app = shop()
        captured.instrument(app)
        async with lifespan_client(app) as client:
            assert "server-timing" not in (await client.get("/books/1")).headers
    assert captured.settings.response_headers == ()


async def test_unhandled_exceptions_are_kept_as_they_would_be_reported() -> None:
    app = shop()

    @app.get("/broken")
    async def broken() -> None:
        raise ZeroDivisionError("the till is empty")

    with capture_telemetry(errors=True) as captured:
        captured.instrument(app)
        async with lifespan_client(app) as client:
            response = await client.get("/broken")
            (event,) = captured.events()
    assert response.status_code == 500
    assert event["exception"]["values"][-1]["value"] == "the till is empty"
    assert event["contexts"]["trace"]["trace_id"] == response.headers["x-trace-id"]


async def test_error_reports_must_be_enabled() -> None:
    with capture_telemetry() as captured, pytest.raises(LookupError, match=r"capture_telemetry\(errors=True\)"):
        captured.events()


async def test_logs_of_structlog_and_of_the_standard_library_are_kept_with_the_ids_of_their_request() -> None:
    app = shop()

    @app.get("/log")
    async def log() -> None:
        logging.getLogger("shop").info("sold %d", 3, extra={"book": 7})
        structlog.get_logger("shop").info("sold out", book=7)

    with capture_telemetry() as captured:
        captured.instrument(app)
        async with lifespan_client(app) as client:
            trace_id = (await client.get("/log")).headers["x-trace-id"]
    (first,) = captured.logs("sold 3", book=7)
    (second,) = captured.logs("sold out")
    assert {first["trace_id"], second["trace_id"]} == {trace_id}
    assert [record["message"] for record in captured.logs(logger="shop")] == ["sold 3", "sold out"]


def test_logging_is_afterwards_as_it_was_before() -> None:
    root = logging.getLogger()
    before = root.handlers.copy(), root.level, structlog.is_configured()
    with capture_telemetry():
        assert root.handlers != before[0]
    assert (root.handlers.copy(), root.level, structlog.is_configured()) == before
