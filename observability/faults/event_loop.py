"""Blocks the event loop, as a blocking call in an `async def` endpoint does."""

import asyncio
import time

from observability.faults.fault import EVENT_LOOP, record_of
from observability.request.record import current_request


class BlockedLoop:
    """Blocks the loop in one step of a task, which cannot be ended early; every other request waits as long."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, seconds: float) -> None:
        self._future = asyncio.run_coroutine_threadsafe(_block(seconds), loop)

    @property
    def is_running(self) -> bool:
        return not self._future.done()

    def end(self) -> None:
        self._future.cancel()


async def _block(seconds: float) -> None:
    current_request.set(record_of(EVENT_LOOP))
    time.sleep(seconds)  # noqa: ASYNC251 the fault
