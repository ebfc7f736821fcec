"""Where CPU work runs: on the event loop, or on worker threads of its own (technique `offload`)."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from observability.saturation.threads import InstrumentedThreadPool, ThreadMetrics
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

    def __init__(self, threads: InstrumentedThreadPool) -> None:
        self._threads = threads

    async def result(self, function: Callable[[], Result]) -> Result:
        """Return what the function returns; wait for a free thread first."""
        return await self._threads.run(function)


def cpu_work(settings: Settings, threads: ThreadMetrics) -> CpuWork:
    """Return what the technique `offload` chooses; its threads are shown and timed as `offload`."""
    if settings.uses("offload"):
        return OnWorkerThreads(threads.thread_pool("offload", threads=settings.offload_threads))
    return OnTheEventLoop()
