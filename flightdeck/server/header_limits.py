"""uvicorn's connections with limits on a request's head, which it has none for."""

from asyncio import TimerHandle, Transport
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_BYTES: Final = 65_536
"""Of the request line and all headers together."""
LONGEST_S: Final = 10.0
"""From the connection, or from the first byte of a further request, to the end of the head."""


class BoundedHead(HttpToolsProtocol):
    """Closes a connection whose request's head is too long or does not come to its end in time."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes = 0
        self._head_timer: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as uvicorn declares it
        """Wait for the first head."""
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(LONGEST_S, transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._end_of_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read, unless the head grows too long."""
        super().data_received(data)
        if self._head_timer is not None:
            self._head_bytes += len(data)
            if self._head_bytes > MOST_BYTES:
                self.transport.close()

    def on_message_begin(self) -> None:
        """Begin to count."""
        super().on_message_begin()
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(LONGEST_S, self.transport.close)

    def on_headers_complete(self) -> None:
        """Stop counting, and answer."""
        self._end_of_head()
        super().on_headers_complete()

    def _end_of_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
        self._head_timer, self._head_bytes = None, 0
