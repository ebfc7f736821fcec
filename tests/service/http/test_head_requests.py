import asyncio
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.http.head_requests import HeadMiddleware
from tests.servers.arm import Arm, arm_settings, running_arm
from tests.servers.asgi import serving


@pytest.fixture(scope="module", params=["none", "all"])
def arm(request: pytest.FixtureRequest, sparse_flights: Path) -> Iterator[Arm]:
    with running_arm(arm_settings(request.param, sparse_flights)) as running:
        yield running


VARYING = {
    "date",
    "server-timing",
    "x-process-time",
    "x-trace-id",
    "x-request-id",
    "cache-status",
    "age",
    "content-length",
}


@pytest.mark.parametrize(
    "address", ["/", "/livez", "/flights?limit=2", "/flights/10", "/airports/LGA/departures?date=2013-01-01", "/nope"]
)
def test_head_has_the_headers_of_get_and_no_body(arm: Arm, address: str) -> None:
    got, head = arm.client.get(address), arm.client.head(address)

    def lasting(headers: dict[str, str]) -> dict[str, str]:
        return {name: value for name, value in headers.items() if name not in VARYING}

    assert head.status_code == got.status_code
    assert lasting(dict(head.headers)) == lasting(dict(got.headers))
    assert head.content == b""
    assert got.content != b""


def test_the_connection_serves_on_after_a_head(arm: Arm) -> None:
    for _ in range(3):
        assert arm.client.head("/airports").status_code == 200
        assert len(arm.client.get("/airlines").json()["items"]) == 16


def test_head_is_counted_as_head(arm: Arm) -> None:
    arm.client.head("/livez")

    methods = {
        sample.labels["method"]
        for metric in arm.registry.collect()
        if metric.name == "http_requests"
        for sample in metric.samples
        if sample.labels["handler"] == "/livez"
    }
    assert "HEAD" in methods


def endless(start: dict[str, str], *, sends: bool, ended: threading.Event) -> ASGIApp:
    """Return an application whose response never ends, and which does not check for a disconnect."""

    async def app(scope: Scope, _: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        headers = [(name.encode(), value.encode()) for name, value in start.items()]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        try:
            while True:
                if sends:
                    await send({"type": "http.response.body", "body": b"x", "more_body": True})
                await asyncio.sleep(0.01)
        finally:
            ended.set()

    return HeadMiddleware(app)


@pytest.mark.parametrize("start", [{}, {"content-length": "1000000000"}], ids=["unknown length", "known length"])
def test_head_of_an_endless_response_ends_at_once_and_so_does_the_application(start: dict[str, str]) -> None:
    ended = threading.Event()
    with serving(endless(start, sends=True, ended=ended), lifespan="off") as url:
        assert httpx.head(url, timeout=60).content == b""
        assert ended.wait(60)


def test_an_application_that_waits_for_its_first_event_ends_too() -> None:
    ended = threading.Event()
    with serving(endless({}, sends=False, ended=ended), lifespan="off") as url:
        assert httpx.head(url, timeout=60).content == b""
        assert ended.wait(60)


def test_the_connection_serves_on_after_the_head_of_a_stream(arm: Arm) -> None:
    address = urlsplit(str(arm.client.base_url))
    with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
        for _ in range(3):
            connection.sendall(b"HEAD /flights/10/events HTTP/1.1\r\nHost: x\r\n\r\n")
            head = connection.recv(65536)
            assert head.startswith(b"HTTP/1.1 200 ")
            assert b"content-type: text/event-stream" in head
            assert b"connection: close" not in head
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
    deadline = monotonic() + 60
    while arm.registry.get_sample_value("http_requests_inprogress") and monotonic() < deadline:
        sleep(0.01)
    assert arm.registry.get_sample_value("http_requests_inprogress") == 0


async def test_the_body_of_a_head_request_completes_in_the_application() -> None:
    """A response cache inside stores what it has received."""
    completed: list[bool] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await Response(b"whole")(scope, receive, send)
        await asyncio.sleep(0)
        completed.append(True)

    async def send(message: Message) -> None:
        assert message.get("body", b"") == b""

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    await HeadMiddleware(app)({"type": "http", "method": "HEAD", "headers": []}, receive, send)
    assert completed == [True]
