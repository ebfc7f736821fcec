"""Responses as the load generator reads them: in every framing, however the network divides them, and as h11 does."""

import asyncio
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from random import Random
from subprocess import run
from typing import Any

import h11
import pytest

from lab.core.address import Address
from lab.load.client_state import ClientState
from lab.load.http1 import NO_RESPONSE, Connection, PendingRequest, encode
from lab.load.load import drive
from lab.load.load_model import ClosedLoop, Phase
from lab.traffic.traffic import Client, Request
from tests.servers.program import installed

ADDRESS = Address("127.0.0.1", 80)
BODY = b"0123456789"
CHUNKS = b"3;name=value\r\n012\r\n7\r\n3456789\r\n0\r\nx-trailer: 1\r\n\r\n"
FRAMINGS = {
    "length": (b"content-length: 10\r\n", BODY),
    "empty": (b"content-length: 0\r\n", b""),
    "chunked": (b"transfer-encoding: Chunked\r\n", CHUNKS),
    "until the end": (b"", BODY),
    "nothing until the end": (b"", b""),
}
STATUSES = (b"200 OK", b"204 No Content", b"205 Reset Content", b"304 Not Modified", b"404 ", b"503 Unavailable")
INTERIM = (b"", b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\nx-interim: 1\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")
CONNECTIONS = (b"", b"connection: close\r\n", b"Connection: keep-alive\r\n")


@dataclass(frozen=True)
class Read:
    """A response as a client reads it; the status is 0 if it is not complete."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


NOTHING = Read(NO_RESPONSE, {}, b"")


class Wire(asyncio.Transport):
    """A transport whose other end is the test."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = False

    def write(self, data: Any) -> None: ...

    def close(self) -> None:
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.closed


def ours(method: str, *parts: bytes) -> tuple[Read, bool]:
    """Return the response, and whether the connection can be used again."""
    finished: list[PendingRequest] = []
    wire, connection = Wire(), Connection(lambda _, pending: finished.append(pending))
    connection.connection_made(wire)
    connection.start(PendingRequest(encode(method, ADDRESS, "/"), 0.0, keeps_body=True))
    for part in parts:
        if not wire.closed:
            connection.data_received(part)
    is_open = connection.is_open and bool(finished)
    connection.connection_lost(None)
    (pending,) = finished
    assert bool(pending.error) == (pending.status == NO_RESPONSE)
    if pending.status == NO_RESPONSE:
        return NOTHING, is_open
    headers = {name: value.lower() for name, value in pending.headers.items()}  # as h11 has them
    return Read(pending.status, headers, bytes(pending.body)), is_open


def reference(method: str, stream: bytes) -> tuple[Read, bool]:
    """Return the same by h11."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method=method, target="/", headers=[("host", "127.0.0.1")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(stream)
    status, headers, body, version, at_end = NO_RESPONSE, {}, b"", b"", False
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Response):
                status, headers, version = event.status_code, dict(event.headers), event.http_version
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                if version == b"1.0":  # h11 never reuses such a connection
                    is_open = b"keep-alive" in headers.get(b"connection", b"") and not at_end
                else:
                    is_open = connection.their_state is h11.DONE and not connection.trailing_data[0] and not at_end
                return Read(status, headers | dict(event.headers), body), is_open
            elif event is h11.NEED_DATA and not at_end:
                at_end = True
                connection.receive_data(b"")
            elif not isinstance(event, h11.InformationalResponse):
                return NOTHING, False
    except h11.RemoteProtocolError:
        return NOTHING, False


def responses(framing: str) -> Iterator[tuple[bytes, bytes]]:
    """Yield head and body of every combination of what a response can be."""
    headers, body = FRAMINGS[framing]
    for version, status, interim, connection in product((b"1.1", b"1.0"), STATUSES, INTERIM, CONNECTIONS):
        has_body = status[:3] not in {b"204", b"304"}
        head = b"%bHTTP/%b %b\r\nETag: x\r\n%b%b\r\n" % (interim, version, status, connection, headers)
        yield head, body if has_body else b""


@pytest.mark.anyio
@pytest.mark.parametrize("framing", FRAMINGS)
async def test_a_response_is_read_as_h11_reads_it_wherever_the_network_divides_it(framing: str) -> None:
    for head, body in responses(framing):
        for method, data in (("GET", head + body), ("HEAD", head)):
            expected = reference(method, data)
            assert ours(method, data) == expected, (method, data)
            for at in range(1, len(data)):
                assert ours(method, data[:at], data[at:]) == expected, (method, data[:at], data[at:])
            assert ours(method, *(data[at : at + 1] for at in range(len(data)))) == expected, (method, data)


@pytest.mark.anyio
@pytest.mark.parametrize("framing", FRAMINGS)
async def test_a_response_that_ends_early_is_none(framing: str) -> None:
    for head, body in Random(1).sample(list(responses(framing)), 10):
        stream = head + body
        for end in range(len(stream)):
            assert ours("GET", stream[:end])[0] == reference("GET", stream[:end])[0], stream[:end]


@pytest.mark.anyio
@pytest.mark.parametrize(
    "surplus", [b"HTTP/1.1 500 Error\r\ncontent-length: 0\r\n\r\n", b"nonsense", b"HTTP/1.1 100 Continue\r\n\r\n"]
)
async def test_what_follows_a_response_is_not_that_of_the_next_request(surplus: bytes) -> None:
    stream = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nab"
    expected = (Read(200, {b"content-length": b"2"}, b"ab"), False)
    assert ours("GET", stream + surplus) == expected
    finished: list[PendingRequest] = []
    wire, connection = Wire(), Connection(lambda _, pending: finished.append(pending))
    connection.connection_made(wire)
    connection.start(PendingRequest(encode("GET", ADDRESS, "/"), 0.0))
    connection.data_received(stream)
    assert connection.is_open
    connection.data_received(surplus)
    assert not connection.is_open


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("stream", "error"),
    [
        (b"SSH-2.0-x\r\n", "not HTTP"),
        (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nx", "switched protocols"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "connection closed"),
        (b"", "connection closed"),
    ],
)
async def test_what_is_no_response_is_an_error(stream: bytes, error: str) -> None:
    finished: list[PendingRequest] = []
    connection = Connection(lambda _, pending: finished.append(pending))
    connection.connection_made(Wire())
    connection.start(PendingRequest(encode("GET", ADDRESS, "/"), 0.0))
    connection.data_received(stream)
    connection.connection_lost(None)
    assert [pending.status for pending in finished] == [NO_RESPONSE]
    assert error in finished[0].error


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The certificate of 127.0.0.1 and its key."""
    directory = tmp_path_factory.mktemp("tls")
    paths = directory / "certificate.pem", directory / "key.pem"
    command = [installed("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=test"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-out", str(paths[0]), "-keyout", str(paths[1])]
    run(command, check=True, capture_output=True)
    return paths


@pytest.mark.anyio
@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "TLS"])
async def test_every_framing_of_a_real_server_is_read(
    framing: str, is_tls: bool, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    headers, body = FRAMINGS[framing]
    keeps_alive = bool(headers)
    connections = 0

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while await reader.readline():
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\n%b\r\n%b" % (headers, body))
            if not keeps_alive:
                break
        writer.close()

    context = None
    if is_tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*certificate)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    client = Client(number=1, accept_encoding="gzip", has_cache=False, link_bytes_per_s=None)
    async with await asyncio.start_server(respond, "127.0.0.1", 0, ssl=context) as server:
        url = f"{'https' if is_tls else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        requests = iter(lambda: Request("page", "GET", "/", client), None)
        recording = await drive(
            Address.of(url),
            requests,
            ClosedLoop(clients=1, requests=3),
            Phase(duration_s=20),
            state=ClientState(),
        )
    assert (recording.statuses, recording.failures) == ({200: 3}, {})
    assert connections == (1 if keeps_alive else 3)
