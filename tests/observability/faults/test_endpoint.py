"""Faults on the metrics port: off by default, bounded, and attributed to their own routes."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import create_async_engine
from starlette.applications import Starlette

from observability import TelemetrySettings, instrument
from tests.polling import eventually
from tests.servers.asgi import serving

LOOP = "/debug/faults/event-loop"
POOL = "/debug/faults/pool"
CONNECTIONS = {"books": 2, "covers": 3}


@dataclass(frozen=True, kw_only=True)
class Service:
    """An application with faults, and two pools: one of threads, one of the event loop."""

    metrics: str
    registry: CollectorRegistry
    books: Engine

    def post(self, path: str, **parameters: str) -> httpx.Response:
        return httpx.post(self.metrics + path, params=parameters)

    def hold(self, seconds: str) -> None:
        """Hold the connections, once no earlier fault does."""
        eventually(lambda: self.post(POOL, seconds=seconds).status_code == 202)

    def used(self, pool: str) -> float | None:
        labels = {"db_client_connection_pool_name": pool, "db_client_connection_state": "used"}
        return self.registry.get_sample_value("db_client_connection_count", labels)

    def blocked_s(self) -> float:
        return self.registry.get_sample_value("event_loop_blocked_seconds_total", {"handler": LOOP}) or 0.0


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    path = tmp_path_factory.mktemp("faults") / "books.db"
    sqlite3.connect(path).close()
    limits = {"max_overflow": 1, "pool_timeout": 0.05}
    books = create_engine(f"sqlite:///{path}", pool_size=1, **limits)
    covers = create_async_engine(f"sqlite+aiosqlite:///{path}", pool_size=2, **limits)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        books.dispose()
        await covers.dispose()

    app, registry = Starlette(lifespan=lifespan), CollectorRegistry()
    settings = TelemetrySettings(metrics_port=0, log_format="none", faults=True)
    telemetry = instrument(app, engines={"books": books, "covers": covers}, registry=registry, settings=settings)
    with serving(app):
        yield Service(metrics=f"http://127.0.0.1:{telemetry.metrics_port}", registry=registry, books=books)


def test_no_fault_can_be_injected_by_default() -> None:
    app = Starlette()
    telemetry = instrument(
        app, registry=CollectorRegistry(), settings=TelemetrySettings(metrics_port=0, log_format="none")
    )
    with serving(app):
        response = httpx.post(f"http://127.0.0.1:{telemetry.metrics_port}{LOOP}?seconds=1")
    assert response.status_code == 405
    assert TelemetrySettings.from_environ({"OBSERVABILITY_FAULTS": "true"}).faults


@pytest.mark.usefixtures("detection_of_blocks")
def test_a_blocked_loop_names_the_endpoint_as_the_route(service: Service) -> None:
    def blocked_s() -> float:
        service.post(LOOP, seconds="0.5")
        return service.blocked_s()

    eventually(blocked_s)


def test_every_connection_is_held_until_the_fault_is_ended(service: Service) -> None:
    service.hold("60")
    eventually(lambda: {pool: service.used(pool) for pool in CONNECTIONS} == CONNECTIONS)
    with pytest.raises(PoolTimeout) as caught:
        service.books.connect()
    assert POOL in " ".join(caught.value.__notes__)
    assert service.post(POOL, seconds="60").status_code == 409
    assert httpx.delete(service.metrics + POOL).status_code == 200
    eventually(lambda: {service.used(pool) for pool in CONNECTIONS} == {0})
    with service.books.connect():
        assert service.used("books") == 1


def test_a_fault_ends_by_itself(service: Service) -> None:
    service.hold("0.01")
    service.hold("0.01")


@pytest.mark.parametrize(
    ("path", "seconds", "status"),
    [
        (LOOP, "5.1", 400),
        (POOL, "61", 400),
        (POOL, "0", 400),
        (POOL, "nan", 400),
        (POOL, "soon", 400),
        (POOL, "", 400),
        ("/debug/faults/disk", "1", 404),
    ],
)
def test_what_cannot_be_injected(service: Service, path: str, seconds: str, status: int) -> None:
    assert service.post(path, seconds=seconds).status_code == status


def test_a_request_of_a_browser_is_rejected(service: Service) -> None:
    response = httpx.post(f"{service.metrics}{POOL}?seconds=1", headers={"origin": "https://example.com"})
    assert response.status_code == 403


def test_metrics_are_served_beside_the_endpoint(service: Service) -> None:
    assert "http_requests_inprogress" in httpx.get(f"{service.metrics}/metrics").text
    assert httpx.get(service.metrics + LOOP).status_code == 405
