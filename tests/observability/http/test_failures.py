"""What counts as a failure is the same in metrics, span, access log and error report: under a real uvicorn."""

import logging
import socket
from collections.abc import Iterator
from typing import Annotated, Any
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import BackgroundTasks, Body, Depends, FastAPI, Request
from opentelemetry.trace import StatusCode
from starlette.background import BackgroundTask
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response, StreamingResponse

from observability.testing import CapturedTelemetry, capture_telemetry
from tests.polling import eventually
from tests.servers.asgi import serving


@pytest.fixture
def captured() -> Iterator[CapturedTelemetry]:
    with capture_telemetry(errors=True) as captured:
        yield captured


def fails() -> None:
    raise ValueError("background")


async def yields() -> Any:
    yield 1
    raise ValueError("teardown")


async def through(request: Request, call_next: RequestResponseEndpoint) -> Response:
    return await call_next(request)


def application() -> FastAPI:
    app = FastAPI()

    @app.get("/task")
    def task(tasks: BackgroundTasks) -> int:
        tasks.add_task(fails)
        return 1

    @app.get("/missing")
    def missing() -> JSONResponse:
        return JSONResponse({}, status_code=404, background=BackgroundTask(fails))

    @app.get("/stream")
    def stream() -> StreamingResponse:
        return StreamingResponse(iter([b"a", b"b"]), background=BackgroundTask(fails))

    @app.get("/teardown")
    def teardown(value: Annotated[int, Depends(yields)]) -> int:
        return value

    @app.get("/cut")
    def cut() -> StreamingResponse:
        def body() -> Iterator[bytes]:
            yield b"a"
            fails()

        return StreamingResponse(body())

    @app.get("/raises")
    def raises() -> None:
        fails()

    @app.post("/json")
    async def json(value: Annotated[dict[str, str], Body()]) -> None: ...

    @app.post("/stream")
    async def chunks(request: Request) -> int:
        return sum([len(chunk) async for chunk in request.stream()])

    @app.post("/body")
    async def body(request: Request) -> int:
        return len(await request.body())

    @app.post("/wrapped")
    async def wrapped(request: Request) -> int:
        try:
            return len(await request.body())
        except ClientDisconnect as error:
            raise RuntimeError("no body") from error

    return app


@pytest.mark.parametrize(
    ("path", "status"),
    [("/task", 200), ("/missing", 404), ("/stream", 200), ("/teardown", 200)],
)
@pytest.mark.parametrize("sampled", [True, False], ids=["sampled", "unsampled"])
def test_a_failure_after_a_complete_response_leaves_its_status(
    captured: CapturedTelemetry, path: str, status: int, sampled: bool
) -> None:
    captured.settings = captured.settings.model_copy(
        update={"traces_sampler": "always_on" if sampled else "always_off", "access_log": True}
    )
    app = application()
    captured.instrument(app)
    with serving(app, log_level="critical") as url:
        assert httpx.get(f"{url}{path}").status_code == status
        eventually(lambda: captured.value("http_requests_total") == 1)
        events = captured.events()
    assert captured.value("http_requests_total", handler=path, code=str(status)) == 1
    assert captured.value("http_background_errors_total", handler=path, method="GET") == 1
    (span,) = captured.spans(f"GET {path}")
    assert span.status.status_code is StatusCode.UNSET
    assert (span.attributes or {})["http.response.status_code"] == status
    assert "error.type" not in (span.attributes or {})
    assert [event.name for event in span.events] == ["exception"]
    assert [event["exception"]["values"][-1]["type"] for event in events] == ["ValueError"]


@pytest.mark.parametrize("path", ["/raises", "/cut"])
def test_a_failure_before_the_response_is_complete_is_a_500(captured: CapturedTelemetry, path: str) -> None:
    app = application()
    captured.instrument(app)
    with serving(app, log_level="critical") as url:
        try:
            httpx.get(f"{url}{path}")
        except httpx.RemoteProtocolError:
            assert path == "/cut"
        eventually(lambda: captured.value("http_requests_total") == 1)
        assert len(captured.events()) == 1
    assert captured.value("http_requests_total", handler=path, code="500") == 1
    assert captured.value("http_background_errors_total") == 0
    (span,) = captured.spans(f"GET {path}")
    assert span.status.status_code is StatusCode.ERROR


UPLOADS = ("/json", "/stream", "/body", "/wrapped")


@pytest.mark.parametrize("middleware", [False, True], ids=["", "in BaseHTTPMiddleware"])
@pytest.mark.parametrize("path", UPLOADS)
def test_a_client_that_disconnects_during_its_upload_is_no_error(
    captured: CapturedTelemetry, caplog: pytest.LogCaptureFixture, path: str, middleware: bool
) -> None:
    app = application()
    if middleware:
        app.add_middleware(BaseHTTPMiddleware, dispatch=through)
    captured.instrument(app)
    with serving(app) as url, caplog.at_level(logging.INFO):
        logging.getLogger("uvicorn.error").addHandler(caplog.handler)
        with socket.create_connection(("127.0.0.1", urlsplit(url).port or 0)) as client:
            head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"
            client.sendall(head.encode())
            eventually(lambda: captured.value("http_requests_inprogress") == 1)
        eventually(lambda: captured.value("http_requests_total") == 1)
        events = captured.events()
    assert captured.value("http_requests_total", handler=path, code="client_disconnected") == 1
    assert captured.value("http_background_errors_total") == 0
    assert events == []
    for span in captured.spans():
        assert span.status.status_code is StatusCode.UNSET
        assert (span.attributes or {}).get("http.response.status_code", 400) == 400  # FastAPI's, which was not sent
        assert span.events == ()
    loop = "observability.saturation.event_loop"  # a busy machine blocks it
    assert [one for one in caplog.records if one.levelno >= logging.WARNING and one.name != loop] == []
