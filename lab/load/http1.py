"""HTTP/1.1 over keep-alive connections, at a few tens of microseconds per request.

A general client takes ten times as much CPU per request, on cores that the measured service needs.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from lab.core.address import Address

NO_RESPONSE: Final = 0
"""Status of a request without a response."""
WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})
"""Methods whose requests state the length of their body even if it is empty (RFC 9110, 8.6)."""


def encode(
    method: str, address: Address, target: str, headers: Iterable[tuple[str, str]] = (), body: bytes = b""
) -> bytes:
    host = f"[{address.host}]" if ":" in address.host else address.host
    lines = [f"{method} {address.prefix}{target} HTTP/1.1", f"host: {host}:{address.port}"]
    lines += [f"{name}: {value}" for name, value in headers]
    if body or method in WITH_BODY:
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


@dataclass(slots=True, eq=False)
class PendingRequest:
    """A request and its response; times are those of the event loop."""

    data: bytes
    intended: float
    keeps_body: bool = False
    bytes_per_s: float | None = None
    sent: float = 0.0
    finished: float = 0.0
    status: int = NO_RESPONSE
    received_bytes: int = 0
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    error: str = ""


class Connection(asyncio.Protocol):
    """A keep-alive connection with at most one request in flight."""

    def __init__(self, finished: Callable[["Connection", PendingRequest], None]) -> None:
        self._finished = finished
        self._loop = asyncio.get_running_loop()
        self._parser = HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._pending_request: PendingRequest | None = None
        self._has_head = False
        self._is_complete = False
        self._keeps_alive = True
        self._status = NO_RESPONSE
        self.completed = 0

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def start(self, pending: PendingRequest) -> None:
        """Send the request; `finished` is called when the response is complete or cannot become complete."""
        assert self._transport is not None  # noqa: S101 the driver uses open connections only
        self._pending_request = pending
        self._has_head = self._is_complete = False
        self._keeps_alive = True
        pending.sent = self._loop.time()
        self._transport.write(pending.data)

    def close(self) -> None:
        """Abort the connection; a request in flight finishes without a response."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Parse the data, on a slow link after the transfer time."""
        pending = self._pending_request
        if pending is None or pending.bytes_per_s is None:
            self._feed(data)
            return
        assert self._transport is not None  # noqa: S101 data came over it
        self._transport.pause_reading()
        self._loop.call_later(len(data) / pending.bytes_per_s, self._feed_slowly, data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        pending = self._pending_request
        if pending is not None and exc is None and self._has_head and _ends_with_connection(pending.headers):
            self._complete()
        else:
            self._finish(repr(exc) if exc else "connection closed")

    def on_message_begin(self) -> None:
        if self._is_complete:  # more than the response
            self._keeps_alive = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._pending_request is not None and not self._is_complete:
            headers, name = self._pending_request.headers, name.lower()
            headers[name] = headers[name] + b"\n" + value if name == b"set-cookie" and name in headers else value

    def on_headers_complete(self) -> None:
        if not self._has_head:
            self._status = self._parser.get_status_code()
            self._has_head = self._status >= 200  # before that, responses are informational

    def on_body(self, body: bytes) -> None:
        if self._pending_request is not None and self._pending_request.keeps_body and not self._is_complete:
            self._pending_request.body += body

    def on_message_complete(self) -> None:
        if self._has_head:
            self._keeps_alive = self._keeps_alive and self._parser.should_keep_alive()
            self._is_complete = True
        elif self._pending_request is not None:
            self._pending_request.headers.clear()

    def _feed(self, data: bytes) -> None:
        pending = self._pending_request
        if pending is None:  # a response without a request, such as 408 before the server closes the connection
            self.close()
            return
        pending.received_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            if not self._is_complete:
                is_upgrade = isinstance(error, HttpParserUpgrade)
                self._finish(f"not HTTP: {'the server switched protocols' if is_upgrade else error}")
                self.close()
                return
            self._keeps_alive = False
        if self._has_head and not self._is_complete and pending.data.startswith(b"HEAD "):
            self._keeps_alive = _allows_reuse(self._parser.get_http_version(), pending.headers)
            self._parser = HttpResponseParser(self)  # the other one would read a body
            self._is_complete = True
        if self._is_complete:
            self._complete()

    def _complete(self) -> None:
        assert self._pending_request is not None  # noqa: S101 the response is that of a request
        self._pending_request.status = self._status
        if not self._keeps_alive and self._transport is not None:
            self._transport.close()
        self._finish("")

    def _feed_slowly(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
            self._feed(data)

    def _finish(self, error: str) -> None:
        pending, self._pending_request = self._pending_request, None
        if pending is not None:
            self.completed += 1
            pending.error = error
            pending.finished = self._loop.time()
            self._finished(self, pending)


def _allows_reuse(version: str, headers: Mapping[bytes, bytes]) -> bool:
    connection = headers.get(b"connection", b"").lower()
    return b"close" not in connection if version == "1.1" else b"keep-alive" in connection


def _ends_with_connection(headers: Mapping[bytes, bytes]) -> bool:
    return b"content-length" not in headers and not headers.get(b"transfer-encoding", b"").lower().endswith(b"chunked")
