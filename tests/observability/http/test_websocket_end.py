"""How connections end, with each of uvicorn's WebSocket protocols: the close code, and no error that is none."""

import asyncio
import logging
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from time import monotonic, sleep

import anyio
import pytest
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from opentelemetry.trace import StatusCode
from starlette.types import Receive, Scope, Send

from observability.testing import CapturedTelemetry, capture_telemetry
from tests.servers.asgi import serving

Handler = Callable[[WebSocket], Awaitable[None]]


async def receive(websocket: WebSocket) -> None:
    while True:
        await websocket.receive_text()


async def send(websocket: WebSocket) -> None:
    while True:
        await websocket.send_text("a" * 100)
        await asyncio.sleep(0.01)


async def idle(_: WebSocket) -> None:
    await asyncio.Event().wait()


async def pause_and_return(_: WebSocket) -> None:
    await asyncio.sleep(0.5)


async def receive_and_send(websocket: WebSocket) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(send, websocket)
        group.start_soon(receive, websocket)


async def receive_and_close(websocket: WebSocket) -> None:
    try:
        await receive(websocket)
    finally:
        await websocket.close(4000)


async def send_and_close(websocket: WebSocket) -> None:
    try:
        await send(websocket)
    except WebSocketDisconnect:
        await websocket.close()


async def send_after_the_disconnect(websocket: WebSocket) -> None:
    with suppress(WebSocketDisconnect):
        await receive(websocket)
    await websocket.send_text("bye")


async def receive_after_a_failed_send(websocket: WebSocket) -> None:
    with suppress(WebSocketDisconnect):
        await send(websocket)
    await websocket.receive_text()


async def pure_asgi(websocket: WebSocket) -> None:
    while True:
        await websocket._send({"type": "websocket.send", "text": "a"})
        await asyncio.sleep(0.01)


def connected(url: str) -> socket.socket:
    """Return a socket after the handshake, without the threads and pings of a client library."""
    host, _, path = url.removeprefix("http://").partition("/")
    name, _, port = host.partition(":")
    client = socket.create_connection((name, int(port)), timeout=60)
    client.sendall(
        f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    assert client.recv(1024).startswith(b"HTTP/1.1 101")
    return client


def closing(code: int) -> Callable[[socket.socket], None]:
    def close(client: socket.socket) -> None:
        client.sendall(b"\x88\x82" + bytes(4) + struct.pack("!H", code))
        while client.recv(4096):
            pass
        client.close()

    return close


def vanish(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()  # a reset: no close frame, and no orderly end of the connection


ACTIVE: list[Handler] = [
    receive,
    send,
    receive_and_send,
    receive_and_close,
    send_and_close,
    send_after_the_disconnect,
    receive_after_a_failed_send,
    pure_asgi,
]
ENDS: list[tuple[Handler, Callable[[socket.socket], None] | None, str]] = [
    *((handler, None, "1012") for handler in [*ACTIVE, idle, pause_and_return]),
    *(
        (handler, closing(code), label)
        for handler in [*ACTIVE, pause_and_return]
        for code, label in ((1000, "1000"), (1001, "1001"), (4001, "application"))
    ),
    *((handler, vanish, "1006") for handler in [*ACTIVE, pause_and_return]),
]


legacy = pytest.mark.filterwarnings("ignore:The `websockets` implementation", "ignore::DeprecationWarning")


@pytest.fixture
def captured() -> Iterator[CapturedTelemetry]:
    with capture_telemetry(errors=True) as captured:
        yield captured


@pytest.mark.parametrize("protocol", ["websockets", "websockets-sansio", "wsproto"])
@legacy
def test_a_connection_that_is_closed_from_outside_is_counted_with_its_code_and_is_no_error(
    captured: CapturedTelemetry, caplog: pytest.LogCaptureFixture, protocol: str
) -> None:
    """Connections without an end of their own meet the server's shutdown.

    It leaves a handler that pauses for half a second eight times as long, on a busy machine too.
    """
    app = FastAPI()

    def add(path: str, handler: Handler) -> None:
        @app.websocket(path)
        async def _(websocket: WebSocket) -> None:
            await websocket.accept()
            await handler(websocket)

    for number, (handler, _, _) in enumerate(ENDS):
        add(f"/{number}", handler)
    captured.instrument(app)
    with caplog.at_level(logging.ERROR), serving(app, ws=protocol, log_config=None, timeout_graceful_shutdown=4) as url:
        clients = {n: connected(f"{url}/{n}") for n, (_, end, _) in enumerate(ENDS) if end is not None}
        for number, client in clients.items():
            if (end := ENDS[number][1]) is not None:
                end(client)
        deadline = monotonic() + 60
        while captured.value("websocket_connections_total") < len(clients) and monotonic() < deadline:
            sleep(0.01)
        clients |= {n: connected(f"{url}/{n}") for n, (_, end, _) in enumerate(ENDS) if end is None}
    for client in clients.values():
        client.close()
    counted = {
        int(sample.labels["handler"][1:]): sample.labels["code"]
        for sample in captured.samples("websocket_connections_total")
    }
    expected = {number: code for number, (_, _, code) in enumerate(ENDS)}
    names = {number: handler.__name__ for number, (handler, _, _) in enumerate(ENDS)}
    wrong = [(names[n], f"{expected[n]} is {counted.get(n)}") for n in expected if counted.get(n) != expected[n]]
    assert not wrong
    assert captured.value("websocket_connections_inprogress") == 0
    assert captured.events() == []
    assert [span.name for span in captured.spans() if span.status.status_code is StatusCode.ERROR] == []
    # One line of uvicorn's own for the tasks that it cancels, and no traceback.
    assert {record.getMessage().partition(" ")[0] for record in caplog.records} <= {"Cancel"}


@pytest.mark.parametrize("protocol", ["websockets", "websockets-sansio", "wsproto"])
@legacy
def test_an_error_of_the_application_after_the_disconnect_is_still_one(
    captured: CapturedTelemetry, protocol: str
) -> None:
    app = FastAPI()

    @app.websocket("/")
    async def fail(websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            await receive(websocket)
        except WebSocketDisconnect:
            raise KeyError("room") from None

    captured.instrument(app)
    with serving(app, ws=protocol, log_level="critical") as url:
        client = connected(url)
        closing(1000)(client)
        deadline = monotonic() + 60
        while not captured.value("websocket_connections_total") and monotonic() < deadline:
            sleep(0.01)
        client.close()
    assert captured.value("websocket_connections_total", code="failed") == 1
    assert len(captured.events()) == 1


def test_a_disconnect_that_the_application_raises_itself_reaches_the_server(captured: CapturedTelemetry) -> None:
    app = FastAPI()

    @app.websocket("/")
    async def leave(websocket: WebSocket) -> None:
        await websocket.accept()
        raise WebSocketDisconnect(1000)

    captured.instrument(app)
    raised: list[BaseException] = []

    async def outer(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except WebSocketDisconnect as error:
            raised.append(error)

    with serving(outer, lifespan="off") as url, connected(url) as client:
        while client.recv(1024):
            pass
    assert len(raised) == 1
