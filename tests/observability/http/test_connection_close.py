"""After an unhandled exception uvicorn closes the connection; the response announces it."""

import httpx
import pytest
from fastapi import FastAPI, HTTPException
from starlette.responses import JSONResponse

from observability.core.settings import ResponseHeaders
from observability.testing import capture_telemetry
from tests.servers.asgi import serving


@pytest.mark.parametrize("headers", [(), ("x-trace-id",)], ids=["no headers", "headers"])
def test_a_kept_connection_is_not_reset_after_an_unhandled_exception(headers: ResponseHeaders) -> None:
    app = FastAPI()

    @app.get("/fails")
    async def fails() -> None:
        raise RuntimeError("failed")

    @app.get("/returns/{status}")
    async def returns(status: int) -> JSONResponse:
        return JSONResponse(None, status)

    @app.get("/rejects")
    async def rejects() -> None:
        raise HTTPException(503)

    with capture_telemetry(response_headers=headers) as captured:
        captured.instrument(app)
        with serving(app) as url, httpx.Client(base_url=url) as client:
            for _ in range(50):
                assert client.get("/fails").headers["connection"] == "close"
                assert client.get("/returns/200").status_code == 200
            for path in ("/returns/500", "/returns/200", "/rejects"):
                assert "connection" not in client.get(path).headers
