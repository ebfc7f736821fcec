"""Telemetry for tests: new in every test, in memory, with queries for metrics, spans, logs and error reports.

def test_a_sold_out_book_is_a_conflict() -> None:
    with capture_telemetry() as captured:
        app = create_app()
        captured.instrument(app)
        with TestClient(app) as client:
            client.post("/orders", json={"book": 1})
    assert captured.value("http_requests_total", handler="/orders", status="409") == 1
    assert captured.span("POST /orders").attributes["http.response.status_code"] == 409
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Any

import httpx
from starlette.applications import Starlette

from observability.core.internal_errors import raise_internal_errors
from observability.core.settings import TelemetrySettings
from observability.testing.captured import CapturedTelemetry
from observability.testing.error_server import ErrorServer
from observability.testing.log_capture import LogCapture

__all__ = ["CapturedTelemetry", "capture_telemetry", "lifespan_client"]


@contextmanager
def capture_telemetry(*, errors: bool = False, **settings: Any) -> Iterator[CapturedTelemetry]:
    """Yield telemetry that traces every request, keeps everything in memory and raises internal errors.

    `settings` are those of `TelemetrySettings`, by name. Nothing is sent to other machines; with `errors`, unhandled
    exceptions are reported to a server on loopback.
    """
    defaults: dict[str, Any] = {
        "metrics_exporter": "none",
        "traces_exporter": "none",
        "access_log": False,
        "log_format": "none",  # pytest has its own handlers
    }
    with raise_internal_errors(), ExitStack() as stack:
        logs = stack.enter_context(LogCapture())
        server = stack.enter_context(ErrorServer()) if errors else None
        if server is not None:
            defaults["sentry_dsn"] = server.dsn
        yield CapturedTelemetry(TelemetrySettings(**defaults | settings), logs, server)


@asynccontextmanager
async def lifespan_client(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    """Run the application's lifespan and yield a client of it, without a port.

    Exceptions of the application become responses with status 500, as in a server.
    """
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://test") as client,
    ):
        yield client
