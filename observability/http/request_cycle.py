"""A request with the two ends of its connection: what the application sends and receives passes through it."""

import re
from collections.abc import Awaitable
from time import perf_counter
from typing import Final

from starlette.types import Message, Receive, Scope, Send

from observability.core.internal_errors import record_internal_error
from observability.request.record import RequestRecord
from observability.request.route_table import RouteTable
from observability.request.server_timing import header_value

LONGEST_BODY: Final = 65_536
"""Bytes of a request's body that are remembered until the request is over."""

_REPEATED: Final = frozenset({b"server-timing"})
"""What the application may send as well as we."""

_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._:+/=@-]{1,128}\Z")


class RequestCycle(RequestRecord):
    """Measures a request from the outside, and adds its headers to the response."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, *, routes: RouteTable, adds: frozenset[bytes]
    ) -> None:
        RequestRecord.__init__(self, scope, routes)  # `super()` would make an object for every request
        self._receive = receive
        self._send = send
        self._adds = adds

    async def receive(self) -> Message:
        """Give the next message to the application; count body bytes, notice a client that went away."""
        message = await self._receive()
        if message["type"] == "http.request":
            body = message.get("body", b"")
            self.received += len(body)
            if len(self.body) < LONGEST_BODY:
                self.body += body[: LONGEST_BODY - len(self.body)]
        elif message["type"] == "http.disconnect" and not self.last_byte:
            self.disconnected = True
        return message

    def send(self, message: Message) -> Awaitable[None]:
        """Pass a message to the client; a plain function, so that no coroutine is made on the way."""
        kind = message["type"]
        if kind == "http.response.start":
            self.first_byte = perf_counter()
            self.status = message["status"]
            if self._adds:
                try:
                    message = self._with_headers(message)
                except Exception as error:  # noqa: BLE001 telemetry never breaks a response
                    record_internal_error("response_headers", error)
        elif kind == "http.response.body":
            body = message.get("body")
            if body:
                self.sent += len(body)
            if not message.get("more_body"):
                self.last_byte = perf_counter()
        elif kind == "http.response.pathsend":
            self.last_byte = perf_counter()
        return self._send(message)

    def accept_request_id(self, given: bytes) -> None:
        """Take the caller's request id, if it is one; a line break or a novel never reaches a log or a header."""
        if _REQUEST_ID.match(given):
            self.client_request_id = given.decode("ascii")

    def is_disconnected(self) -> bool:
        """Whether the client left before the end; uvicorn knows it even if the application never asked."""
        return self.disconnected or getattr(getattr(self._send, "__self__", None), "disconnected", False) is True

    def _with_headers(self, message: Message) -> Message:
        """Return the response's start with our headers, except those that the application set itself."""
        seconds = self.first_byte - self.started
        theirs = list(message.get("headers", ()))
        adds = self._adds
        if adds != _REPEATED and not adds.isdisjoint(map(bytes.lower, dict(theirs))):
            adds -= {name.lower() for name, _ in theirs} - _REPEATED
        if b"x-process-time" in adds:
            theirs.append((b"x-process-time", b"%.6f" % seconds))
        if b"x-trace-id" in adds:
            theirs.append((b"x-trace-id", b"%032x" % self.trace_id))
        if b"x-request-id" in adds:
            theirs.append((b"x-request-id", self.client_request_id.encode() or b"%016x" % self.span_id))
        if b"server-timing" in adds:
            theirs.append((b"server-timing", header_value(self.timings, total_s=seconds)))
        return {**message, "headers": theirs}
