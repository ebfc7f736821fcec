"""Where CPU-bound work runs: on the event loop, or on its own worker threads (technique `offload`)."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from observability.saturation.threads import ThreadMetrics
from service.settings import Settings

Result = TypeVar("Result")


class CpuWork(Protocol):
    """Runs CPU-bound functions."""

    async def run(self, function: Callable[[], Result], /) -> Result:
        """Return what the function returns."""


class OnTheEventLoop:
    """Every other request waits until the function returns."""

    async def run(self, function: Callable[[], Result], /) -> Result:
        return function()


def cpu_work(settings: Settings, threads: ThreadMetrics) -> CpuWork:
    """Return where CPU-bound work runs; in metrics its threads have the name `offload`.

    The threads have their own limiter. The default one, of `def` endpoints, has 40 threads, which suits blocking I/O
    and not computation: all threads share one interpreter lock with the event loop.
    """
    if settings.uses("offload"):
        return threads.thread_pool("offload", threads=settings.offload_threads)
    return OnTheEventLoop()
