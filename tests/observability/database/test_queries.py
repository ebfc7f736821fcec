import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from prometheus_client import CollectorRegistry
from sqlalchemy import Column, Engine, Integer, MetaData, String, Table, create_engine, event, insert, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import create_async_engine
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from observability.database.queries import QueryMetrics
from observability.request.record import RequestRecord, current_request
from observability.request.route_table import RouteTable
from observability.testing import capture_telemetry, lifespan_client

BOOKS = Table("books", MetaData(), Column("id", Integer, primary_key=True), Column("title", String, unique=True))


class Observed:
    """A database of books whose queries are observed."""

    def __init__(self, path: Path, threshold: int = 10) -> None:
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = provider.get_tracer("test")
        self.registry = CollectorRegistry()
        self.metrics = QueryMetrics(self.registry, n_plus_one_threshold=threshold, tracer=self.tracer)
        self.engine = create_engine(f"sqlite:///{path / 'books.db'}")
        BOOKS.metadata.create_all(self.engine)
        self.metrics.attach("primary", self.engine)

    @contextmanager
    def request(self) -> Iterator[RequestRecord]:
        """Be inside a traced request to `/books`."""
        record = RequestRecord({"type": "http"}, RouteTable(Starlette()))
        with self.tracer.start_as_current_span("GET /books") as span:
            record.span, record.sampled = span, True
            context = span.get_span_context()
            record.trace_id, record.span_id = context.trace_id, context.span_id
            token = current_request.set(record)
            yield record
            current_request.reset(token)
            self.metrics.observe_request(record, method="GET", handler="/books")

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)

    def spans(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())


@pytest.fixture
def observed(tmp_path: Path) -> Iterator[Observed]:
    books = Observed(tmp_path)
    yield books
    books.engine.dispose()


def read(engine: Engine, times: int) -> None:
    with engine.connect() as connection:
        for number in range(times):
            connection.execute(select(BOOKS).where(BOOKS.c.id == number))


def test_a_statement_is_timed_by_pool_and_operation(observed: Observed) -> None:
    with observed.engine.begin() as connection:
        connection.execute(insert(BOOKS).values(title="Emma"))
        connection.execute(select(BOOKS))
        connection.execute(select(BOOKS))
    count = "db_client_operation_duration_seconds_count"
    assert observed.value(count, db_client_connection_pool_name="primary", operation="INSERT") == 1
    assert observed.value(count, db_client_connection_pool_name="primary", operation="SELECT") == 2


@pytest.mark.parametrize("times", [0, 1, 7])
def test_the_queries_of_a_request_are_counted_by_method_and_handler(observed: Observed, times: int) -> None:
    with observed.request():
        read(observed.engine, times)
    labels = {"method": "GET", "handler": "/books"}
    assert observed.value("db_queries_per_request_count", **labels) == 1
    assert observed.value("db_queries_per_request_sum", **labels) == times


def test_queries_outside_a_request_belong_to_none(observed: Observed) -> None:
    read(observed.engine, 3)
    with observed.request():
        pass
    read(observed.engine, 3)
    assert observed.value("db_queries_per_request_sum", method="GET", handler="/books") == 0


def test_queries_in_threads_and_nested_tasks_count_for_the_request_that_started_them(observed: Observed) -> None:
    async def handler() -> None:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(5):
                tasks.create_task(asyncio.to_thread(read, observed.engine, 40))

    with observed.request():
        asyncio.run(handler())
    assert observed.value("db_queries_per_request_sum", method="GET", handler="/books") == 200


async def test_two_requests_at_once_count_their_own_queries(tmp_path: Path) -> None:
    books = Observed(tmp_path)
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'books.db'}")
    books.metrics.attach("async", engine)
    counted: dict[int, int] = {}

    async def handler(times: int) -> None:
        record = RequestRecord({"type": "http"}, RouteTable(Starlette()))
        current_request.set(record)
        async with engine.connect() as connection:
            for _ in range(times):
                await connection.execute(select(BOOKS))
        assert record.statements is not None
        counted[times] = len(record.statements)

    await asyncio.gather(*(asyncio.create_task(handler(times)) for times in (3, 11, 6)))
    assert counted == {3: 3, 11: 11, 6: 6}
    await engine.dispose()
    books.engine.dispose()


@pytest.mark.parametrize(("times", "suspected"), [(9, None), (10, 1), (30, 1)])
def test_a_statement_repeated_in_one_request_is_suspected_from_the_threshold_on(
    observed: Observed, times: int, suspected: int | None
) -> None:
    with observed.request():
        read(observed.engine, times)
    assert observed.value("db_n_plus_one_suspected_total", method="GET", handler="/books") == suspected


def test_as_many_different_statements_are_not_suspected(observed: Observed) -> None:
    with observed.request(), observed.engine.connect() as connection:
        for number in range(30):
            connection.execute(select(BOOKS.c.id.label(f"column_{number}")))
    assert observed.value("db_n_plus_one_suspected_total", method="GET", handler="/books") is None


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({}, id="sampled"),
        pytest.param({"traces_sampler": "always_off", "slow_request_s": 1e-6}, id="slow, so traced retroactively"),
    ],
)
async def test_the_repeated_statement_is_on_the_request_s_span(observed: Observed, settings: dict[str, Any]) -> None:
    def books(request: Request) -> Response:  # noqa: ARG001 the signature is Starlette's
        read(observed.engine, 12)
        return Response()

    app = Starlette(routes=[Route("/books", books)])
    with capture_telemetry(**settings) as captured:
        captured.instrument(app, engines={"primary": observed.engine})
        async with lifespan_client(app) as client:
            await client.get("/books")
    (event,) = captured.span("GET /books").events
    attributes = dict(event.attributes or {})
    assert event.name == "flightdeck.db.n_plus_one_suspected"
    assert attributes["flightdeck.db.query.executions"] == 12
    assert attributes["db.query.text"] == "SELECT books.id, books.title FROM books WHERE books.id = ?"
    assert len(str(attributes["flightdeck.db.query.fingerprint"])) == 16


def test_a_span_has_statement_and_database_without_values(observed: Observed) -> None:
    with observed.request(), observed.engine.connect() as connection:
        connection.execute(select(BOOKS).where(BOOKS.c.title == "secret one"))
        connection.execute(text("SELECT id FROM books WHERE title = 'secret two' AND id = 4711"))
    bound, literal, request = observed.spans()
    assert (bound.kind, bound.name) == (SpanKind.CLIENT, "SELECT books")
    assert bound.parent is not None
    assert request.context is not None
    assert bound.parent.span_id == request.context.span_id
    assert dict(bound.attributes or {}) == {
        "db.system.name": "sqlite",
        "db.namespace": "books.db",
        "db.client.connection.pool.name": "primary",
        "db.operation.name": "SELECT",
        "db.query.summary": "SELECT books",
        "db.query.text": "SELECT books.id, books.title FROM books WHERE books.title = ?",
    }
    assert (literal.attributes or {})["db.query.text"] == "SELECT id FROM books WHERE title = ? AND id = ?"
    assert bound.end_time is not None
    assert bound.start_time is not None
    assert 0 < bound.end_time - bound.start_time < 1e9


def test_without_a_recorded_trace_there_is_no_span(observed: Observed) -> None:
    read(observed.engine, 3)
    assert observed.spans() == []


def test_many_parameter_sets_are_one_statement_with_a_batch_size(observed: Observed) -> None:
    with observed.request() as record, observed.engine.begin() as connection:
        connection.execute(insert(BOOKS), [{"title": f"Volume {number}"} for number in range(25)])
    assert record.statements is not None
    assert len(record.statements) == 1
    assert (observed.spans()[0].attributes or {})["db.operation.batch.size"] == 25


def test_a_failed_statement_is_counted_and_its_span_fails_without_the_message(observed: Observed) -> None:
    with observed.request(), observed.engine.connect() as connection:
        connection.execute(insert(BOOKS).values(title="Emma"))
        with pytest.raises(IntegrityError):
            connection.execute(insert(BOOKS).values(title="Emma"))
    assert (
        observed.value(
            "db_client_operation_errors_total", db_client_connection_pool_name="primary", error="IntegrityError"
        )
        == 1
    )
    assert observed.value("db_queries_per_request_sum", method="GET", handler="/books") == 2
    failed = observed.spans()[1]
    assert (failed.status.status_code, failed.status.description) == (StatusCode.ERROR, None)
    assert (failed.attributes or {})["error.type"] == "sqlite3.IntegrityError"
    assert (failed.attributes or {})["db.response.status_code"] == "SQLITE_CONSTRAINT_UNIQUE"


async def test_a_cancelled_statement_is_counted_with_its_span(tmp_path: Path) -> None:
    books = Observed(tmp_path)
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'books.db'}")
    books.metrics.attach("async", engine)
    # The cancellation is in the loop's queue before the response of the database can be.
    loop = asyncio.get_running_loop()
    event.listen(engine.sync_engine, "before_cursor_execute", lambda *_: loop.call_soon(task.cancel))

    async def handler() -> None:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))

    with books.request():
        task = asyncio.create_task(handler())
        with pytest.raises(asyncio.CancelledError):
            await task
    assert (
        books.value("db_client_operation_errors_total", db_client_connection_pool_name="async", error="CancelledError")
        == 1
    )
    assert (books.spans()[0].attributes or {})["error.type"] == "asyncio.exceptions.CancelledError"
    await engine.dispose()
    books.engine.dispose()


def test_an_error_before_the_statement_reached_the_database_is_no_query(observed: Observed) -> None:
    with observed.request() as record, observed.engine.connect() as connection:
        with pytest.raises(Exception, match="A value is required for bind parameter"):
            connection.execute(text("SELECT :missing"))
        assert record.statements is None


def test_the_time_in_the_database_is_a_stage_of_the_request(observed: Observed) -> None:
    with observed.request() as record:
        read(observed.engine, 2)
    assert record.timings is not None
    assert 0 < record.timings["db"] < 1


def test_durations_and_counts_link_to_the_trace(observed: Observed) -> None:
    with observed.request() as record:
        read(observed.engine, 2)
    linked = {
        sample.name
        for family in observed.registry.collect()
        for sample in family.samples
        if sample.exemplar
        and sample.exemplar.labels == {"trace_id": record.trace_id_hex, "span_id": record.span_id_hex}
    }
    assert linked == {"db_client_operation_duration_seconds_bucket", "db_queries_per_request_bucket"}


def test_an_engine_reports_to_the_application_that_was_instrumented_last(observed: Observed) -> None:
    registry = CollectorRegistry()
    QueryMetrics(registry).attach("primary", observed.engine)
    read(observed.engine, 2)
    name, labels = (
        "db_client_operation_duration_seconds_count",
        {"db_client_connection_pool_name": "primary", "operation": "SELECT"},
    )
    assert observed.value(name, **labels) is None
    assert registry.get_sample_value(name, labels) == 2


def test_a_thread_of_the_application_s_own_counts_for_no_request(observed: Observed) -> None:
    with observed.request():
        thread = Thread(target=read, args=(observed.engine, 5))
        thread.start()
        thread.join()
    assert observed.value("db_queries_per_request_sum", method="GET", handler="/books") == 0
