"""The record of an HTTP request that wraps its `receive` and `send`."""

import re
import sys
from collections.abc import Awaitable
from time import perf_counter
from typing import Final

from starlette.types import Message, Receive, Scope, Send

from observability.core.internal_errors import record_internal_error
from observability.request.record import RequestRecord
from observability.request.route_table import RouteTable
from observability.request.server_timing import header_value

MAX_BODY_BYTES: Final = 65_536
"""Of a request body that are kept until the request ends."""

_REPEATED: Final = frozenset({b"server-timing"})
"""Headers that the application may send too."""

_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._:+/=@-]{1,128}\Z")


class RequestCycle(RequestRecord):
    """Measures a request and adds headers to the response."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, *, routes: RouteTable, adds: frozenset[bytes]
    ) -> None:
        RequestRecord.__init__(self, scope, routes)  # `super()` would create an object for every request
        self._receive = receive
        self._send = send
        self._adds = adds

    async def receive(self) -> Message:
        """Return the next message for the application; count body bytes, record a disconnect."""
        message = await self._receive()
        if message["type"] == "http.request":
            body = message.get("body", b"")
            self.received += len(body)
            if len(self.body) < MAX_BODY_BYTES:
                self.body += body[: MAX_BODY_BYTES - len(self.body)]
        elif message["type"] == "http.disconnect" and not self.last_byte:
            self.disconnected = True
        return message

    def send(self, message: Message) -> Awaitable[None]:
        """Send a message to the client; not a coroutine function, which would create an object for each message."""
        kind = message["type"]
        if kind == "http.response.start":
            self.first_byte = perf_counter()
            self.status = message["status"]
            if self._adds or self.status == 500:
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

    def accept_request_id(self, value: bytes) -> None:
        """Use the client's request id if it is short and has no characters that could break a log or a header."""
        if _REQUEST_ID.match(value):
            self.client_request_id = value.decode("ascii")

    def is_disconnected(self) -> bool:
        """Whether the client disconnected early; uvicorn knows it even if the application did not call `receive`."""
        return self.disconnected or getattr(getattr(self._send, "__self__", None), "disconnected", False) is True

    def _is_followed_by_close(self) -> bool:
        """Whether this response is sent for an exception: uvicorn then closes the connection without a header for it.

        Clients that keep the connection send their next request into it, which is reset.
        """
        return self.scope.get("http_version") == "1.1" and sys.exc_info()[1] is not None

    def _with_headers(self, message: Message) -> Message:
        """Return the response start with our headers, except those that the application sets itself."""
        seconds = self.first_byte - self.started
        headers = list(message.get("headers", ()))
        adds = self._adds
        if adds != _REPEATED and not adds.isdisjoint(map(bytes.lower, dict(headers))):
            adds -= {name.lower() for name, _ in headers} - _REPEATED
        if b"x-process-time" in adds:
            headers.append((b"x-process-time", b"%.6f" % seconds))
        if b"x-trace-id" in adds:
            headers.append((b"x-trace-id", b"%032x" % self.trace_id))
        if b"x-request-id" in adds:
            headers.append((b"x-request-id", self.client_request_id.encode() or b"%016x" % self.span_id))
        if b"server-timing" in adds:
            headers.append((b"server-timing", header_value(self.timings, total_s=seconds)))
        if self.status == 500 and self._is_followed_by_close() and b"connection" not in map(bytes.lower, dict(headers)):
            headers.append((b"connection", b"close"))
        return {**message, "headers": headers}
