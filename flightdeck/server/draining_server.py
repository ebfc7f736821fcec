"""uvicorn with a drain delay at shutdown, and a check that can end a start that never becomes ready."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from socket import socket
from types import FrameType

import uvicorn

from service.api.shutdown import ShutdownState


class DrainingServer(uvicorn.Server):
    """Serves on for `shutdown_delay_s` after the signal to stop, not ready any more; a second signal stops at once.

    `startup_check` runs beside the start; the error that it returns stops the server and is its `startup_error`.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        shutdown: ShutdownState,
        shutdown_delay_s: float,
        startup_check: Callable[[], Awaitable[str]] | None = None,
    ) -> None:
        super().__init__(config)
        self._shutdown_state = shutdown
        self._shutdown_delay_s = shutdown_delay_s
        self._startup_check = startup_check
        self._loop: asyncio.AbstractEventLoop | None = None
        self.startup_error = ""

    async def serve(self, sockets: list[socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        check = asyncio.create_task(self._run_startup_check())
        try:
            await super().serve(sockets)
        finally:
            check.cancel()

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Start, and freeze what the start allocated: a full garbage collection would traverse it for 90 ms each time.

        Collections run every few seconds and block the event loop; these objects live as long as the process.
        """
        await super().startup(sockets)
        gc.collect()
        gc.freeze()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Become not ready at once, and stop after the delay."""
        if self._loop is None or self._shutdown_state.is_draining or not self._shutdown_delay_s:
            self._shutdown_state.begin()
            super().handle_exit(sig, frame)
            return
        self._shutdown_state.begin()
        self._loop.call_soon_threadsafe(self._loop.call_later, self._shutdown_delay_s, super().handle_exit, sig, frame)

    async def _run_startup_check(self) -> None:
        if self._startup_check is not None:
            self.startup_error = await self._startup_check()
            self.should_exit = self.should_exit or bool(self.startup_error)
