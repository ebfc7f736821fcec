"""Telemetry for tests: fresh in every test, kept in memory, and asked in plain words.

def test_a_sold_out_book_is_a_conflict() -> None:
    with telemetry() as seen:
        app = create_app()
        seen.instrument(app)
        with TestClient(app) as client:
            client.post("/orders", json={"book": 1})
    assert seen.value("http_requests_total", handler="/orders", status="409") == 1
    assert seen.span("POST /orders").attributes["http.response.status_code"] == 409
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Any

import httpx
from starlette.applications import Starlette

from observability.core.internal_errors import failures_raised
from observability.core.settings import TelemetrySettings
from observability.testing.error_server import ErrorServer
from observability.testing.log_capture import LogCapture
from observability.testing.seen import Seen

__all__ = ["Seen", "running", "telemetry"]


@contextmanager
def telemetry(*, errors: bool = False, **settings: Any) -> Iterator[Seen]:
    """Yield telemetry that keeps everything, traces every request, and raises where it would swallow a failure.

    `settings` are those of `TelemetrySettings`, by name. Nothing leaves the machine; with `errors` unhandled exceptions
    are reported to a server on loopback.
    """
    defaults: dict[str, Any] = {
        "metrics_exporter": "none",
        "traces_exporter": "none",
        "access_log": False,
        "log_format": "none",  # pytest has its own handlers
    }
    with failures_raised(), ExitStack() as stack:
        logs = stack.enter_context(LogCapture())
        server = stack.enter_context(ErrorServer()) if errors else None
        if server is not None:
            defaults["sentry_dsn"] = server.dsn
        yield Seen(TelemetrySettings(**defaults | settings), logs, server)


@asynccontextmanager
async def running(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of the application, in this process and without a port, while the application's lifespan runs.

    What the application raises becomes a response with status 500, as behind a server.
    """
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://test") as client,
    ):
        yield client
