"""Asyncio tasks that belong to an object or to the lifespan, not to a request."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Set
from contextlib import asynccontextmanager, suppress
from contextvars import Context
from typing import Any, Final

AGAIN_S: Final = 2.0
"""After which a task that is still running is cancelled again: longer than tasks take to end what they have begun."""


class TaskSet:
    """Tasks that run until they complete or the set is closed, even if the caller that started them is cancelled."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None], *, context: Context | None = None) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, context=context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def wait(self) -> None:
        """Return when every task is done; exceptions are dropped."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self) -> None:
        """Cancel every task and wait for it; exceptions are dropped."""
        await cancelled(self._tasks)


async def cancelled(tasks: Set[asyncio.Task[None]]) -> None:
    """Cancel the tasks until all are done; exceptions are dropped.

    Libraries can lose a cancellation: `asyncio.wait_for()` does until Python 3.12 if what it waits for completes in the
    same step of the loop, and redis-py sends every command with it.
    """
    running = set(tasks)
    while running:
        for task in running:
            task.cancel()
        done, running = await asyncio.wait(running, timeout=AGAIN_S)
        for task in done:
            with suppress(asyncio.CancelledError):
                task.exception()


@asynccontextmanager
async def run_in_background(work: Callable[[], Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Run the work in a task that is cancelled when the block ends."""
    task = asyncio.create_task(work())
    try:
        yield
    finally:
        await cancelled({task})
        with suppress(asyncio.CancelledError):
            task.result()
