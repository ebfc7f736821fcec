"""Graceful shutdown: readiness fails first, requests are still served, then the socket closes."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from service.errors import NotReady


class ShutdownState:
    """Whether the process is draining."""

    def __init__(self) -> None:
        self.is_draining = False
        self._callbacks: list[tuple[asyncio.AbstractEventLoop, Callable[[], None]]] = []

    def begin(self) -> None:
        """Start to drain; a signal handler may call it."""
        if not self.is_draining:
            self.is_draining = True
            for loop, callback in self._callbacks:
                loop.call_soon_threadsafe(callback)

    @contextmanager
    def ending(self, callback: Callable[[], None]) -> Iterator[None]:
        """For as long as the block lasts, call this on the running event loop when draining begins.

        For responses without an end of their own: the server waits for every response.
        """
        registered = (asyncio.get_running_loop(), callback)
        self._callbacks.append(registered)
        if self.is_draining:
            callback()
        try:
            yield
        finally:
            self._callbacks.remove(registered)

    async def check(self) -> None:
        """Raise `NotReady` while the process is draining."""
        if self.is_draining:
            raise NotReady({"process": "shutting down: draining remaining requests"})
