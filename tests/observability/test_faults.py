"""Telemetry that fails, one part after the other: no request notices, and every failure is counted."""

from collections.abc import Callable
from typing import Any, NoReturn

import httpx
import pytest
from fastapi import FastAPI

from observability.core.internal_errors import internal_error_count, raise_internal_errors, suppress_internal_errors
from observability.testing import capture_telemetry, lifespan_client

PARTS = {
    "begin": "observability.tracing.tracing.Tracing.begin",
    "begin ": "observability.http.request_cycle.RequestCycle.accept_request_id",
    "route": "observability.request.route_table.RouteTable.template",
    "metrics": "observability.http.metrics.HttpMetrics.observe",
    "traces": "observability.tracing.tracing.Tracing.finish",
    "span": "observability.tracing.tracing.apply_outcome",
    "logs": "observability.logs.logs.LoggingSetup.observe",
    "access_log": "observability.logs.access_log.AccessLog.observe",
    "errors": "observability.errors.reporter.ErrorReporter.observe",
    "response_headers": "observability.http.request_cycle.header_value",
    "traces_start": "observability.tracing.tracing.Tracing.start",
    "errors_start": "observability.errors.reporter.ErrorReporter.start",
    "logs_start": "observability.logs.logs.LoggingSetup.start",
    "metrics_server": "observability.metrics.server.MetricsServer.start",
    "traces_stop": "observability.tracing.tracing.Tracing.stop",
}


def broken(*_: Any, **__: Any) -> NoReturn:
    raise RuntimeError("telemetry is broken")


def shop() -> FastAPI:
    app = FastAPI()

    @app.get("/items/{item_id}")
    async def item(item_id: int) -> dict[str, int]:
        if item_id == 13:
            raise ValueError("no")
        return {"item": item_id}

    return app


@pytest.mark.anyio
@pytest.mark.parametrize(("where", "part"), PARTS.items(), ids=list(PARTS))
async def test_a_part_that_fails_is_counted_and_requests_succeed(
    where: str, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = where.strip()
    with (
        capture_telemetry(errors=True, metrics_exporter="prometheus", metrics_port=0, access_log=True) as captured,
        raise_internal_errors(False),
    ):
        app = shop()
        instrumented = captured.instrument(app)
        monkeypatch.setattr(part, broken)
        before = internal_error_count(where)
        async with lifespan_client(app) as client:
            assert (await client.get("/items/7", headers={"x-request-id": "a"})).json() == {"item": 7}
            assert (await client.get("/items/13")).status_code == 500
        monkeypatch.undo()
        instrumented.stop()  # what could not stop above would stay in the process
        assert internal_error_count(where) > before
        assert captured.value("observability_errors_total", where=where) == internal_error_count(where)


@pytest.mark.anyio
async def test_everything_may_fail_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with capture_telemetry(errors=True) as captured, raise_internal_errors(False):
        app = shop()
        instrumented = captured.instrument(app)
        for part in PARTS.values():
            monkeypatch.setattr(part, broken)
        async with lifespan_client(app) as client:
            assert (await client.get("/items/7")).json() == {"item": 7}
        monkeypatch.undo()
        instrumented.stop()


@pytest.mark.anyio
async def test_in_tests_a_failure_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    with capture_telemetry() as captured:
        app = shop()
        captured.instrument(app)
        monkeypatch.setattr(PARTS["metrics"], broken)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            with pytest.raises(RuntimeError, match="telemetry is broken"):
                await client.get("/items/7")


def test_a_guard_lets_only_exceptions_be_swallowed() -> None:
    def interrupted(error: BaseException) -> Callable[[], None]:
        def run() -> None:
            with suppress_internal_errors("test"):
                raise error

        return run

    with raise_internal_errors(False):
        interrupted(ValueError("x"))()
        with pytest.raises(KeyboardInterrupt):
            interrupted(KeyboardInterrupt())()
