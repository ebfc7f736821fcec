"""A request ends with its connection, whatever the client has sent behind it."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic, sleep
from urllib.parse import urlsplit

import pytest
from starlette.types import Receive, Scope, Send

from flightdeck.server.header_limits import HeaderLimitsProtocol
from flightdeck.server.pipelining import MAX_PIPELINED
from tests.servers.asgi import serving

STREAM = b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"
SHORT = b"GET /short HTTP/1.1\r\nHost: x\r\n\r\n"
UPLOAD = b"POST /short HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"


@dataclass
class Streams:
    """An application whose stream ends on a disconnect, or on command."""

    active: int = 0
    served: list[str] = field(default_factory=list)
    is_over: bool = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.served.append(scope["path"])
        if scope["path"] == "/stream":
            await self._stream(receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    async def _stream(self, receive: Receive, send: Send) -> None:
        self.active += 1
        try:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"first", "more_body": True})
            disconnect = asyncio.create_task(self._disconnect(receive))
            while not (self.is_over or disconnect.done()):  # noqa: ASYNC110 a test sets it from another thread
                await asyncio.sleep(0.01)
            disconnect.cancel()
            await send({"type": "http.response.body", "body": b"last"})
        finally:
            self.active -= 1

    async def _disconnect(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass


@contextmanager
def connected(app: Streams) -> Iterator[socket.socket]:
    with serving(app, http=HeaderLimitsProtocol, lifespan="off") as url:
        address = urlsplit(url)
        with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
            yield connection
            connection.close()
            wait_until_idle(app)


def wait_until_idle(app: Streams) -> None:
    deadline = monotonic() + 60
    while app.active:
        assert monotonic() < deadline, "the stream goes on without a client"
        sleep(0.01)


@pytest.mark.parametrize("is_one_segment", [True, False], ids=["one segment", "later"])
@pytest.mark.parametrize(
    "behind",
    [b"", SHORT, SHORT * MAX_PIPELINED, STREAM, UPLOAD, UPLOAD + b"hello", SHORT[:20]],
    ids=["nothing", "a request", "many requests", "a stream", "half an upload", "an upload", "half a request"],
)
def test_a_client_that_leaves_ends_its_stream(behind: bytes, is_one_segment: bool) -> None:
    app = Streams()
    with connected(app) as connection:
        connection.sendall(STREAM + behind if is_one_segment else STREAM)
        assert b"first" in received(connection, b"first")
        if not is_one_segment:
            connection.sendall(behind)
            sleep(0.05)
        assert app.active == 1
    assert app.served == ["/stream"], "what was pipelined is not started without a client"


@pytest.mark.parametrize("number", [1, 3, MAX_PIPELINED, MAX_PIPELINED + 5])
def test_pipelined_requests_are_served_in_their_order_after_the_stream(number: int) -> None:
    app = Streams()
    with connected(app) as connection:
        connection.sendall(STREAM)
        received(connection, b"first")
        connection.sendall(SHORT * number)
        sleep(0.05)
        assert app.served == ["/stream"]
        app.is_over = True
        rest = b""
        while rest.count(b"ok") < number:
            rest += connection.recv(65536)
    assert app.served == ["/stream", *["/short"] * number]


def test_the_last_of_several_pipelined_streams_ends_with_the_connection() -> None:
    app = Streams()
    with connected(app) as connection:
        connection.sendall(STREAM + SHORT + STREAM + SHORT)
        received(connection, b"first")
        app.is_over = True
        received(connection, b"ok")
        app.is_over = False
        deadline = monotonic() + 60
        while app.served.count("/stream") < 2 and monotonic() < deadline:
            sleep(0.01)
    assert app.active == 0


def received(connection: socket.socket, end: bytes) -> bytes:
    """Return what arrives until these bytes are in it."""
    data = b""
    while end not in data:
        part = connection.recv(65536)
        assert part, data
        data += part
    return data
