"""uvicorn's HTTP protocol with requests that end with their connection, whatever is pipelined behind them.

uvicorn stops reading at the first pipelined request, so that the end of the connection is not noticed, and reports the
end to the request that was received last only. A response that waits for an event would never be over.
"""

from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

MAX_PIPELINED: Final = 16
"""Reading stops at more requests behind an unfinished one: then only a failed write shows that the client is gone."""


class PipeliningProtocol(HttpToolsProtocol):
    """Reads on behind an unfinished request, and disconnects that request when the connection ends."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._running: RequestResponseCycle | None = None

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        if not self.pipeline:
            self._running = self.cycle
        elif len(self.pipeline) <= MAX_PIPELINED:
            self.flow.resume_reading()

    def on_response_complete(self) -> None:
        if self.pipeline:
            self._running = self.pipeline[-1][0]
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.pipeline.clear()
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()
