"""uvicorn that leaves in order, and does not wait for ever for what a start needs."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from socket import socket
from types import FrameType

import uvicorn

from service.api.shutdown import ShutdownState


class LeavingServer(uvicorn.Server):
    """Goes on serving for a while after the signal to stop, not ready any more; a second signal stops at once."""

    def __init__(self, config: uvicorn.Config, *, shutdown: ShutdownState, shutdown_delay_s: float) -> None:
        super().__init__(config)
        self._shutdown = shutdown
        self._leave_s = shutdown_delay_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self.required: Callable[[], Awaitable[str]] | None = None
        """Waits for what a start needs; returns why it was given up, or nothing."""
        self.gave_up = ""

    async def serve(self, sockets: list[socket] | None = None) -> None:
        """Serve until told to stop, or until what the start needs did not come."""
        self._loop = asyncio.get_running_loop()
        waiting = asyncio.create_task(self._wait_for_required())
        try:
            await super().serve(sockets)
        finally:
            waiting.cancel()

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Start, and take everything that a start leaves behind out of the garbage collector's sight.

        It stays as long as the process, and looking through all of it took 90 ms every few seconds, in which nobody was
        answered.
        """
        await super().startup(sockets)
        gc.collect()
        gc.freeze()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Say that the process leaves, and stop a while later."""
        if self._loop is None or self._shutdown.is_draining or not self._leave_s:
            self._shutdown.begin()
            super().handle_exit(sig, frame)
            return
        self._shutdown.begin()
        self._loop.call_soon_threadsafe(self._loop.call_later, self._leave_s, super().handle_exit, sig, frame)

    async def _wait_for_required(self) -> None:
        if self.required is not None:
            self.gave_up = await self.required()
            self.should_exit = self.should_exit or bool(self.gave_up)
