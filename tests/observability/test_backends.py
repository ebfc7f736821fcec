"""What `instrument()` watches beyond the requests themselves, in one application with one of each."""

from collections.abc import Iterator

import httpx
import pytest
from celery import Celery
from fastapi import FastAPI
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from observability import TelemetrySettings, instrument
from observability.celery.tracing import uninstrument_celery
from tests.servers.asgi import serving
from tests.servers.redis import RedisServer


class Shop:
    """An application with a database, a Redis, a task queue and a service that it calls."""

    def __init__(self, redis_url: str, other_url: str) -> None:
        self.registry = CollectorRegistry()
        self.exporter = InMemorySpanExporter()
        engine = create_async_engine("sqlite+aiosqlite://")
        store = Redis.from_url(redis_url)
        client = httpx.AsyncClient()
        tasks = Celery("shop", broker=redis_url, set_as_current=False)
        self.app = FastAPI()

        @self.app.get("/order")
        async def order() -> None:
            async with engine.connect() as connection:
                await connection.execute(text("SELECT 1"))
            await store.set("card-number", "4711")
            await client.get(other_url)
            tasks.send_task("ship", ["secret address"])
            await store.aclose()
            await client.aclose()
            await engine.dispose()

        instrument(
            self.app,
            engines={"primary": engine},
            http_clients={"other": client},
            redis=[store],
            celery=tasks,
            registry=self.registry,
            settings=TelemetrySettings(metrics_exporter="none"),
            span_processors=[SimpleSpanProcessor(self.exporter)],
        )


@pytest.fixture(scope="module")
def shop(shared_redis: RedisServer) -> Iterator[Shop]:
    other = FastAPI()
    other.get("/")(lambda: None)
    with serving(other) as other_url:
        shop = Shop(f"{shared_redis.url[:-1]}13", other_url)
        with serving(shop.app) as url:
            assert httpx.get(f"{url}/order").status_code == 200
        uninstrument_celery()
        yield shop


def test_one_trace_has_the_calls_of_a_request_to_every_server(shop: Shop) -> None:
    spans = shop.exporter.get_finished_spans()
    names = {span.name for span in spans}
    assert {"GET /order", "SELECT", "SET", "GET", "apply_async/ship"} <= names
    assert len({span.context.trace_id for span in spans if span.context}) == 1


@pytest.mark.parametrize("secret", ["4711", "card-number", "secret address"])
def test_no_span_holds_what_was_stored_or_sent(shop: Shop, secret: str) -> None:
    def texts(span: ReadableSpan) -> str:
        return f"{span.attributes} {span.events} {span.status.description}"

    assert not any(secret in texts(span) for span in shop.exporter.get_finished_spans())


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        (
            "db_client_operation_duration_seconds_count",
            {"db_client_connection_pool_name": "primary", "operation": "SELECT"},
        ),
        ("db_client_connection_wait_time_seconds_count", {"db_client_connection_pool_name": "primary"}),
        ("db_queries_per_request_sum", {"method": "GET", "handler": "/order"}),
        ("http_client_request_duration_seconds_count", {"client": "other", "method": "GET", "code": "200"}),
        ("tasks_published_total", {"task": "ship"}),
    ],
)
def test_every_kind_of_backend_is_counted(shop: Shop, name: str, labels: dict[str, str]) -> None:
    assert shop.registry.get_sample_value(name, labels) == 1


def test_redis_commands_use_the_stable_conventions(shop: Shop) -> None:
    (command,) = (span for span in shop.exporter.get_finished_spans() if span.name == "SET")
    assert (command.attributes or {})["db.system.name"] == "redis"


def test_without_engines_and_clients_there_are_no_metrics_of_them() -> None:
    registry = CollectorRegistry()
    instrument(FastAPI(), registry=registry, settings=TelemetrySettings(metrics_exporter="none"))
    names = {family.name for family in registry.collect()}
    assert not any(name.startswith(("db_", "http_client_", "task")) for name in names)
