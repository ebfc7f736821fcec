"""uvicorn's HTTP protocol with limits on the size and the duration of request headers; uvicorn itself has none."""

from asyncio import TimerHandle, Transport
from typing import Any, Final

from flightdeck.server.pipelining import PipeliningProtocol

MAX_HEADER_BYTES: Final = 65_536
"""Of the request line and all headers together."""
HEADER_TIMEOUT_S: Final = 10.0
"""From the connection, or from the first byte of a further request, to the end of the headers."""


class HeaderLimitsProtocol(PipeliningProtocol):
    """Closes a connection whose request headers are too large or not complete in time."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._header_bytes = 0
        self._header_timer: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as uvicorn declares it
        super().connection_made(transport)
        self._header_timer = self.loop.call_later(HEADER_TIMEOUT_S, transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_headers()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._header_timer is not None:
            self._header_bytes += len(data)
            if self._header_bytes > MAX_HEADER_BYTES:
                self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._header_timer is None:
            self._header_timer = self.loop.call_later(HEADER_TIMEOUT_S, self.transport.close)

    def on_headers_complete(self) -> None:
        self._end_headers()
        super().on_headers_complete()

    def _end_headers(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
        self._header_timer, self._header_bytes = None, 0
