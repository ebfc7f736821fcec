"""A real HTTP server around an application, on a free port, for as long as a block lasts."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp

DEADLINE_S: Final = 60.0
"""For the start and the end, on a busy machine."""
TICK_S: Final = 0.1
"""How often uvicorn renews its date header and looks whether it should end."""


class _Server(uvicorn.Server):
    """Ends as soon as it should, not at its next tick."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending = asyncio.Event()

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        ticks = 0
        while not await self.on_tick(ticks):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), TICK_S)
            ticks += 1

    def end(self) -> None:
        """Let it end; from another thread."""
        self.should_exit = True
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: it has ended
                self._loop.call_soon_threadsafe(self._ending.set)


@contextmanager
def serving(app: ASGIApp, **options: Any) -> Iterator[str]:
    """Yield the base URL of a uvicorn that serves the application from a thread of its own.

    Fails if the server does not end: its thread would compute beside every test that follows.
    """
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    options = {"log_level": "warning", "access_log": False, "timeout_graceful_shutdown": 1, **options}
    server = _Server(uvicorn.Config(app, **options))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    deadline = time.monotonic() + DEADLINE_S
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise RuntimeError("uvicorn did not start; its log says why")
        time.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.end()
        thread.join(DEADLINE_S)
        listener.close()
    if thread.is_alive():
        raise RuntimeError(f"uvicorn did not end within {DEADLINE_S:.0f} s: a task of the application blocks its loop")
