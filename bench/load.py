"""A closed-loop client: batches of requests on keep-alive connections."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

CONNECTIONS: Final = 8


class Client:
    """Sends the same request over a few connections, with one request in flight on each."""

    def __init__(self, connections: list[socket.socket], request: bytes) -> None:
        self._connections = connections
        self._request = request

    def send(self, requests: int) -> None:
        """Send at least that many requests and read the responses; raise `RuntimeError` if one is not 200."""
        for connection in self._connections:
            connection.sendall(self._request)
        for _ in range(requests // len(self._connections)):
            for connection in self._connections:
                _read_response(connection)
                connection.sendall(self._request)
        for connection in self._connections:
            _read_response(connection)


@contextmanager
def client(port: int, path: str, *, accept_encoding: str = "gzip") -> Iterator[Client]:
    """Connect to the server on this port."""
    request = (
        f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nuser-agent: bench\r\n"
        f"accept: application/json\r\naccept-encoding: {accept_encoding}\r\n\r\n"
    ).encode()
    with ExitStack() as stack:
        connections = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10)) for _ in range(CONNECTIONS)
        ]
        for connection in connections:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield Client(connections, request)


def _read_response(connection: socket.socket) -> None:
    """Read one response with a Content-Length."""
    response = connection.recv(65536)
    while True:
        head, separator, body = response.partition(b"\r\n\r\n")
        if separator:
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            if len(body) >= length:
                break
        more = connection.recv(65536)
        if not more:
            raise RuntimeError(f"the server closed the connection after {response!r}")
        response += more
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"the server responded {head.partition(bytes([13]))[0]!r}")
