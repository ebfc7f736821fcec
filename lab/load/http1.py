"""HTTP/1.1 over kept connections, at a few tens of microseconds per request.

A general client spends ten times more on each request, on cores that the measured service needs.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, cast

from httptools import HttpParserError, HttpResponseParser

from lab.core.address import Address

UNANSWERED: Final = 0
"""The status of an exchange that got no answer."""


def encode(
    method: str, address: Address, target: str, headers: Iterable[tuple[str, str]] = (), body: bytes = b""
) -> bytes:
    """Return a request as bytes."""
    host = f"[{address.host}]" if ":" in address.host else address.host
    lines = [f"{method} {address.prefix}{target} HTTP/1.1", f"host: {host}:{address.port}"]
    lines += [f"{name}: {value}" for name, value in headers]
    if body:
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


@dataclass(slots=True, eq=False)
class Exchange:
    """A request on its way and what came back; times are the event loop's."""

    data: bytes
    intended: float
    keeps_body: bool = False
    bytes_per_s: float | None = None
    sent: float = 0.0
    finished: float = 0.0
    status: int = UNANSWERED
    received_bytes: int = 0
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    error: str = ""


class Connection(asyncio.Protocol):
    """One connection that carries one exchange at a time and is kept for the next."""

    def __init__(self, finished: Callable[["Connection", Exchange], None]) -> None:
        self._finished = finished
        self._loop = asyncio.get_running_loop()
        self._parser = HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._exchange: Exchange | None = None
        self.carried = 0

    @property
    def is_open(self) -> bool:
        """Return whether another exchange can be started."""
        return self._transport is not None and not self._transport.is_closing()

    def start(self, exchange: Exchange) -> None:
        """Send the exchange's request; `finished` is called when the answer is complete or can never be."""
        assert self._transport is not None  # noqa: S101 a pool starts exchanges on open connections only
        self._exchange = exchange
        exchange.sent = self._loop.time()
        self._transport.write(exchange.data)

    def close(self) -> None:
        """Give the connection up; an exchange under way is finished as unanswered."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport; asyncio calls this."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Read the answer, on a slow link after the time it takes; asyncio calls this."""
        exchange = self._exchange
        if exchange is None or exchange.bytes_per_s is None:
            self._feed(data)
            return
        assert self._transport is not None  # noqa: S101 data came over it
        self._transport.pause_reading()
        self._loop.call_later(len(data) / exchange.bytes_per_s, self._feed_slowly, data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Finish what can no longer be answered; asyncio calls this."""
        self._transport = None
        self._finish(repr(exc) if exc else "connection closed")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; the parser calls this."""
        if self._exchange is not None:
            self._exchange.headers[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body where somebody wants it; the parser calls this."""
        if self._exchange is not None and self._exchange.keeps_body:
            self._exchange.body += body

    def on_message_complete(self) -> None:
        """Finish the exchange; the parser calls this."""
        status = self._parser.get_status_code()
        if status < 200:  # a hint ahead of the answer
            return
        if self._exchange is not None:
            self._exchange.status = status
        if not self._parser.should_keep_alive() and self._transport is not None:
            self._transport.close()
        self._finish("")

    def _feed(self, data: bytes) -> None:
        if self._exchange is not None:
            self._exchange.received_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            self._finish(f"not HTTP: {error}")
            self.close()

    def _feed_slowly(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
            self._feed(data)

    def _finish(self, error: str) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            self.carried += 1
            exchange.error = error
            exchange.finished = self._loop.time()
            self._finished(self, exchange)
