"""Where CPU-bound work runs: on the event loop, or on its own worker threads (technique `offload`)."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from observability.saturation.threads import InstrumentedThreadPool, ThreadMetrics
from service.settings import Settings

Result = TypeVar("Result")


class CpuWork(Protocol):
    """Runs CPU-bound functions."""

    async def result(self, function: Callable[[], Result]) -> Result:
        """Return what the function returns."""
        ...


class OnTheEventLoop:
    """Every other request waits until the function returns."""

    async def result(self, function: Callable[[], Result]) -> Result:
        """Return what the function returns."""
        return function()


class OnWorkerThreads:
    """A few threads with their own limiter: other requests are served meanwhile, and further searches queue.

    The default limiter of `def` endpoints has 40 threads, which suits blocking I/O and not computation: the threads
    share one interpreter lock with the event loop.
    """

    def __init__(self, threads: InstrumentedThreadPool) -> None:
        self._threads = threads

    async def result(self, function: Callable[[], Result]) -> Result:
        """Return what the function returns, once a thread is free."""
        return await self._threads.run(function)


def cpu_work(settings: Settings, threads: ThreadMetrics) -> CpuWork:
    """Return where CPU-bound work runs; in metrics its threads have the name `offload`."""
    if settings.uses("offload"):
        return OnWorkerThreads(threads.thread_pool("offload", threads=settings.offload_threads))
    return OnTheEventLoop()
