"""What a client sends as baggage reaches handlers, and neither messages nor the servers that the service calls."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from celery import Celery
from fastapi import FastAPI, Request
from opentelemetry import baggage
from opentelemetry.context import attach, detach

from observability import TelemetrySettings, instrument
from observability.celery.tracing import uninstrument_celery
from tests.servers.asgi import serving

SECRET = "zq9x-baggage-7f3a"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SENT = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "baggage": f"user={SECRET},{SECRET}=1,plain=1"}


def shop(upstream: str, broker: Path) -> FastAPI:
    """Return an application that calls another server and publishes a task, with baggage of its own."""
    folders = {"data_folder_in": broker, "data_folder_out": broker, "control_folder": broker.parent / "control"}
    options = {name: str(folder) for name, folder in folders.items()}
    celery = Celery("shop", broker="filesystem://localhost", set_as_current=False, broker_transport_options=options)
    client, blocking = httpx.AsyncClient(base_url=upstream), httpx.Client(base_url=upstream)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with client:
            with blocking:
                yield
        celery.close()

    app = FastAPI(lifespan=lifespan)

    @app.get("/order")
    async def order() -> list[Any]:
        token = attach(baggage.set_baggage("tenant", "acme"))
        try:
            celery.send_task("bind")
            calls = [(await client.get("/echo")).json(), (await asyncio.to_thread(blocking.get, "/echo")).json()]
        finally:
            detach(token)
        return [dict(baggage.get_all()), *calls]

    quiet = TelemetrySettings(metrics_exporter="none", log_format="none")
    instrument(app, settings=quiet, celery=celery, http_clients={"other": client, "blocking": blocking})
    return app


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    app = FastAPI()

    @app.get("/echo")
    async def echo(request: Request) -> dict[str, str]:
        return dict(request.headers)

    with serving(app) as url:
        yield url


@pytest.mark.parametrize("propagators", [None, "tracecontext,baggage"], ids=["default", "named"])
def test_baggage_of_a_client_leaves_the_process_only_where_that_is_configured(
    upstream: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, propagators: str | None
) -> None:
    broker = tmp_path / "broker"
    broker.mkdir()
    if propagators:
        monkeypatch.setenv("OTEL_PROPAGATORS", propagators)
    try:
        with serving(shop(upstream, broker)) as url:
            in_handler, *calls = httpx.get(f"{url}/order", headers=SENT).json()
    finally:
        uninstrument_celery()
    (message,) = broker.iterdir()
    headers = json.loads(message.read_text())["headers"]

    assert in_handler == {"user": SECRET, SECRET: "1", "plain": "1"}, "handlers can read it"
    assert SECRET not in message.read_text()
    assert "baggage" not in headers
    for sent in (headers, *calls):
        assert sent["traceparent"].split("-")[1] == TRACE
    for sent in calls:
        assert (SECRET in sent["baggage"]) == bool(propagators)
        assert "tenant=acme" in sent["baggage"], "the application's own baggage is propagated"
