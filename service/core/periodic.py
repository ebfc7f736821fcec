"""Work that is repeated in the background."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

LAST_RUN_TIMEOUT_S: Final = 1.0
"""How long a run in progress may take after the cancellation."""


async def run_periodically(work: Callable[[], Awaitable[None]], *, every_s: float) -> None:
    """Repeat the work after each pause until cancelled; a run in progress then completes first.

    Cancelling a statement costs its connection, and a run whose outcome is unknown may be repeated.
    """
    while True:
        await asyncio.sleep(every_s)
        run = asyncio.ensure_future(work())
        try:
            await asyncio.shield(run)
        except asyncio.CancelledError:
            await asyncio.wait([run], timeout=LAST_RUN_TIMEOUT_S)
            run.cancel()
            await asyncio.gather(run, return_exceptions=True)
            raise
