"""Where CPU work runs: on the event loop, or on worker threads of its own (technique `offload`)."""

from collections.abc import Callable
from typing import Protocol, TypeVar

import anyio
import anyio.to_thread

from service.settings import Settings

Result = TypeVar("Result")


class CpuWork(Protocol):
    """Runs a function that takes CPU time."""

    async def result(self, function: Callable[[], Result]) -> Result:
        """Return what the function returns."""
        ...


class OnTheEventLoop:
    """Every other request waits until the function is done."""

    async def result(self, function: Callable[[], Result]) -> Result:
        """Return what the function returns."""
        return function()


class OnWorkerThreads:
    """A few threads with a limiter of their own: other requests go on, and a crowd of searches waits its turn.

    The hidden limiter of `def` endpoints has 40 threads, which is right for waiting and too many for computing: 40
    threads that compute share one interpreter lock with the event loop.
    """

    def __init__(self, limiter: anyio.CapacityLimiter) -> None:
        self._limiter = limiter

    async def result(self, function: Callable[[], Result]) -> Result:
        """Return what the function returns; wait for a free thread first."""
        return await anyio.to_thread.run_sync(function, limiter=self._limiter)


def cpu_work(settings: Settings) -> CpuWork:
    """Return what the technique `offload` chooses."""
    if settings.uses("offload"):
        return OnWorkerThreads(anyio.CapacityLimiter(settings.offload_threads))
    return OnTheEventLoop()
