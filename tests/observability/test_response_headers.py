"""The headers that every response gets, and those it keeps."""

import re
from typing import Any

import pytest
from fastapi import FastAPI, Response
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from observability.request.server_timing import add_timing, timing
from observability.testing import capture_telemetry, lifespan_client


@pytest.mark.anyio
async def test_a_response_has_its_duration_and_its_parts() -> None:
    with capture_telemetry() as captured:
        app = FastAPI()

        @app.get("/")
        async def timed() -> str:
            add_timing("db", 0.002)
            add_timing("db", 0.003)
            with timing("serialize"):
                return "x"

        captured.instrument(app)
        async with lifespan_client(app) as client:
            headers = (await client.get("/")).headers
    entries = re.fullmatch(r"db;dur=5\.00, serialize;dur=(\d+\.\d\d), total;dur=(\d+\.\d\d)", headers["server-timing"])
    assert entries
    assert float(headers["x-process-time"]) == pytest.approx(float(entries[2]) / 1000, abs=0.00001)
    assert re.fullmatch("[0-9a-f]{32}", headers["x-trace-id"])
    assert re.fullmatch("[0-9a-f]{16}", headers["x-request-id"])


@pytest.mark.anyio
async def test_what_the_application_sets_itself_stays() -> None:
    theirs = {"x-process-time": "1", "x-trace-id": "2", "X-Request-ID": "3", "server-timing": "own;dur=4"}
    with capture_telemetry() as captured:
        app = Starlette(routes=[Route("/", lambda _: PlainTextResponse("", headers=theirs))])
        captured.instrument(app)
        async with lifespan_client(app) as client:
            headers = (await client.get("/")).headers
    assert headers.get_list("x-process-time") == ["1"]
    assert headers.get_list("x-trace-id") == ["2"]
    assert headers.get_list("x-request-id") == ["3"]
    assert headers["server-timing"].startswith("own;dur=4, total;dur=")


@pytest.mark.anyio
async def test_names_in_any_case_and_headers_in_any_form_are_understood() -> None:
    async def odd(_scope: Scope, _receive: Receive, send: Send) -> None:
        headers: Any = iter([(b"X-Trace-Id", b"mine"), [b"x-list", b"1"]])
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body"})

    async def none(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body"})

    with capture_telemetry() as captured:
        app = Starlette()
        app.mount("/odd", odd)
        app.mount("/none", none)
        captured.instrument(app)
        async with lifespan_client(app) as client:
            odd_headers = (await client.get("/odd/")).headers
            none_headers = (await client.get("/none/")).headers
    assert odd_headers.get_list("x-trace-id") == ["mine"]
    assert odd_headers["x-list"] == "1"
    assert len(none_headers["x-trace-id"]) == 32


@pytest.mark.anyio
async def test_a_message_that_the_application_keeps_is_not_changed() -> None:
    start: Message = {"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]}

    async def shared(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(start)
        await send({"type": "http.response.body"})

    with capture_telemetry() as captured:
        app = Starlette()
        app.mount("/shared", shared)
        captured.instrument(app)
        async with lifespan_client(app) as client:
            await client.get("/shared/")
            second = (await client.get("/shared/")).headers
    assert start["headers"] == [(b"a", b"b")]
    assert len(second.get_list("x-trace-id")) == 1


async def empty() -> Response:
    return Response()


@pytest.mark.anyio
async def test_they_can_be_switched_off() -> None:
    with capture_telemetry(response_headers=()) as captured:
        app = FastAPI()
        app.get("/")(empty)
        captured.instrument(app)
        async with lifespan_client(app) as client:
            headers = (await client.get("/")).headers
    assert not {"x-process-time", "x-trace-id", "x-request-id", "server-timing"} & set(headers)


@pytest.mark.anyio
async def test_a_stage_name_cannot_break_the_header() -> None:
    with capture_telemetry() as captured:
        app = FastAPI()

        @app.get("/")
        async def evil() -> str:
            add_timing("a b\r\nx-evil: 1;", 0.001)
            return "x"

        captured.instrument(app)
        async with lifespan_client(app) as client:
            headers = (await client.get("/")).headers
    assert "x-evil" not in headers
    assert headers["server-timing"].startswith("a_b__x-evil__1_;dur=1.00")


def test_outside_a_request_a_stage_is_only_a_block() -> None:
    with timing("db"):
        add_timing("db", 1.0)
