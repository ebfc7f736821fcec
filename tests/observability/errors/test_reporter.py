"""Error reports: which there are, which trace they name, and that no planted secret leaves the process."""

import json
import logging
import socket
from collections.abc import Iterator
from time import monotonic, perf_counter
from typing import Annotated, Any

import anyio
import pytest
import sentry_sdk
from fastapi import BackgroundTasks, Cookie, FastAPI, Header, HTTPException, Request, WebSocket
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from observability import TelemetrySettings, instrument
from observability.core.internal_errors import raise_internal_errors
from observability.testing import capture_telemetry, lifespan_client
from tests.servers.port import free_port

AUTHORIZATION = "pl4nted-authorization"
API_KEY = "pl4nted-api-key"
COOKIE = "pl4nted-cookie"
QUERY = "pl4nted-query"
BODY = "pl4nted-body"
QUOTED = 'pl4nted "quoted" ünicode'
LOCAL = "pl4nted-local"
URL_PASSWORD = "pl4nted-url-password"


class Order(BaseModel):
    """A body with personal data."""

    note: str
    card: int
    deep: dict[str, list[str]] = {}


def shop() -> FastAPI:
    app = FastAPI()

    @app.post("/orders")
    async def order(
        order: Order,
        request: Request,
        q: str = "",
        authorization: Annotated[str, Header()] = "",
        x_api_key: Annotated[str, Header()] = "",
        basket: Annotated[str, Cookie()] = "",
    ) -> None:
        alias = authorization.removeprefix("Bearer ")
        innocent = {"name": alias, "list": [q, basket], "note": order.note, "key": x_api_key}
        password = LOCAL
        engine = f"postgresql://shop:{URL_PASSWORD}@database/shop"
        everything = repr(innocent) + password + engine + request.url.path
        raise ValueError(f"cannot order: {everything} and {order.deep}")

    @app.get("/handled")
    async def handled() -> None:
        raise HTTPException(503)

    @app.get("/after")
    async def after(tasks: BackgroundTasks) -> PlainTextResponse:
        def later() -> None:
            raise KeyError("too late")

        tasks.add_task(later)
        return PlainTextResponse("", background=tasks)

    @app.get("/own")
    async def own(secret: str) -> None:
        sentry_sdk.set_tag("seen", secret)
        sentry_sdk.capture_message(f"look at {secret}")

    @app.websocket("/socket")
    async def refuse(websocket: WebSocket) -> None:
        await websocket.accept()
        raise RuntimeError("socket")

    return app


PLANTED = {
    "headers": {"authorization": f"Bearer {AUTHORIZATION}", "x-api-key": API_KEY, "cookie": f"basket={COOKIE}; a=b"},
    "params": {"q": QUERY},
    "json": {"note": BODY, "card": 4111111111111111, "deep": {"x": [QUOTED]}},
}


@pytest.mark.anyio
async def test_no_planted_secret_is_in_a_report() -> None:
    with capture_telemetry(errors=True) as captured:
        app = shop()
        captured.instrument(app)
        async with lifespan_client(app) as client:
            assert (await client.post("/orders", **PLANTED)).status_code == 500  # type: ignore[arg-type]  # a table
            (event,) = captured.events()
    text = json.dumps(event, ensure_ascii=False)
    for secret in (AUTHORIZATION, API_KEY, COOKIE, QUERY, BODY, LOCAL, URL_PASSWORD, "4111111111111111", "ünicode"):
        assert secret not in text, f"{secret} is in {text}"
    assert "cannot order" in event["exception"]["values"][-1]["value"], "what is no secret stays"


@pytest.mark.anyio
async def test_a_report_has_its_request_and_trace() -> None:
    with capture_telemetry(errors=True, sentry_release="1.2.3", sentry_environment="test") as captured:
        app = shop()
        captured.instrument(app)
        async with lifespan_client(app) as client:
            response = await client.post("/orders?q=1", json=PLANTED["json"], headers={"x-request-id": "abc"})
            (event,) = captured.events()
    assert event["contexts"]["trace"]["trace_id"] == response.headers["x-trace-id"]
    assert event["contexts"]["trace"]["span_id"] == f"{captured.span('POST /orders').context.span_id:016x}"
    assert event["transaction"] == "POST /orders"
    assert event["tags"] == {"handler": "/orders", "method": "POST", "request_id": "abc"}
    assert event["request"]["query_string"] == "q=REDACTED"
    assert event["request"]["url"] == "http://test/orders"
    assert event["release"] == "1.2.3"
    assert event["environment"] == "test"
    exception = event["exception"]["values"][-1]
    assert exception["type"] == "ValueError"
    own = [frame for frame in exception["stacktrace"]["frames"] if frame["in_app"]]
    assert own[-1]["function"] == "order"
    assert "password = LOCAL" in " ".join(own[-1]["pre_context"]), "source lines stay readable"
    assert own[-1]["vars"]["password"] == "REDACTED"
    assert all("vars" not in f for f in exception["stacktrace"]["frames"] if not f["in_app"])
    assert captured.value("observability_export_total", signal="errors", outcome="exported") == 1


@pytest.mark.anyio
async def test_a_report_links_to_its_trace_where_traces_are_shown() -> None:
    with capture_telemetry(errors=True, trace_url="http://grafana.test/d/trace?var-trace={trace_id}&x=1") as captured:
        app = shop()
        captured.instrument(app)
        async with lifespan_client(app) as client:
            response = await client.post("/orders", json=PLANTED["json"])
            (event,) = captured.events()
    link = f"http://grafana.test/d/trace?var-trace={response.headers['x-trace-id']}&x=1"
    assert event["extra"]["trace_url"] == link


@pytest.mark.anyio
async def test_what_the_application_reports_itself_has_the_trace_and_no_secrets_either() -> None:
    with capture_telemetry(errors=True) as captured:
        app = shop()
        captured.instrument(app)
        async with lifespan_client(app) as client:
            response = await client.get("/own", params={"secret": QUERY})
            (event,) = captured.events()
    assert event["contexts"]["trace"]["trace_id"] == response.headers["x-trace-id"]
    assert QUERY not in json.dumps(event)


@pytest.mark.anyio
async def test_error_responses_are_not_reported_but_a_failing_background_task_is() -> None:
    with capture_telemetry(errors=True) as captured:
        app = shop()
        captured.instrument(app)
        async with lifespan_client(app) as client:
            await client.get("/handled")
            assert captured.events() == []
            await client.get("/after")
            assert [event["exception"]["values"][-1]["type"] for event in captured.events()] == ["KeyError"]


@pytest.mark.anyio
async def test_requests_make_no_transactions_and_no_spans_twice() -> None:
    with capture_telemetry(errors=True) as captured:
        app = shop()
        captured.instrument(app)
        async with lifespan_client(app) as client:
            await client.get("/handled")
            options = sentry_sdk.get_client().options
        assert options["traces_sample_rate"] is None
        assert [span.name for span in captured.spans()] == ["GET /handled"]


@pytest.mark.anyio
async def test_an_exception_storm_is_rationed_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("observability.core.limits.perf_counter", lambda: 1.0)
    with capture_telemetry(errors=True) as captured:
        app = shop()
        captured.instrument(app)
        async with lifespan_client(app) as client:
            for _ in range(15):
                await client.post("/orders", json=PLANTED["json"])
            assert len(captured.events()) == 10
        assert captured.value("observability_export_total", signal="errors", outcome="dropped") == 5
        assert captured.value("http_requests_total", code="500") == 15


@pytest.fixture
def silent_server() -> Iterator[str]:
    """A server that accepts connections and never responds."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://key@127.0.0.1:{listener.getsockname()[1]}/1"


@pytest.mark.anyio
@pytest.mark.parametrize("server", ["dead", "silent"])
async def test_an_unresponsive_server_does_not_delay_requests(server: str, silent_server: str) -> None:
    dsn = silent_server if server == "silent" else f"http://key@127.0.0.1:{free_port()}/1"
    with capture_telemetry(sentry_dsn=dsn, shutdown_timeout_s=0.2) as captured:
        app = shop()
        captured.instrument(app)
        started = perf_counter()
        async with lifespan_client(app) as client:
            for _ in range(5):
                assert (await client.post("/orders", json=PLANTED["json"])).status_code == 500
            if server == "dead":
                deadline = monotonic() + 60
                while not captured.value("observability_export_total", signal="errors", outcome="failed"):
                    assert monotonic() < deadline
                    await anyio.sleep(0.01)
        assert perf_counter() - started < 30, "as long as one wait for the server would take"


@pytest.mark.anyio
@pytest.mark.parametrize("dsn", ["nonsense", "http://127.0.0.1", "ftp://key@host/1"])
async def test_an_invalid_dsn_is_logged_once(dsn: str, caplog: pytest.LogCaptureFixture) -> None:
    with capture_telemetry(sentry_dsn=dsn) as captured, caplog.at_level(logging.ERROR, "observability.errors.reporter"):
        app = shop()
        captured.instrument(app)
        async with lifespan_client(app) as client:
            assert (await client.post("/orders", json=PLANTED["json"])).status_code == 500
            assert (await client.get("/handled")).status_code == 503
    said = [record.getMessage()[:11] for record in caplog.records if record.name == "observability.errors.reporter"]
    assert said == ["SENTRY_DSN:"]


@pytest.mark.anyio
async def test_an_sdk_that_the_application_initialised_is_used_and_not_closed() -> None:
    events: list[Any] = []
    sentry_sdk.init(
        dsn="http://key@127.0.0.1:9/1", before_send=lambda event, _: events.append(event), default_integrations=False
    )
    client_before = sentry_sdk.get_client()
    try:
        with raise_internal_errors():
            app = Starlette(routes=[Route("/raise", failing)])
            settings = TelemetrySettings(
                metrics_exporter="none", log_format="none", access_log=False, sentry_dsn="http://key@127.0.0.1:9/2"
            )
            instrument(app, settings=settings)
            async with lifespan_client(app) as client:
                await client.get("/raise")
            assert sentry_sdk.get_client() is client_before
    finally:
        client_before.close(timeout=0)
        sentry_sdk.get_global_scope().set_client(None)
    assert [event["exception"]["values"][-1]["type"] for event in events] == ["ValueError"]


async def failing(_: Request) -> PlainTextResponse:
    raise ValueError("no")
