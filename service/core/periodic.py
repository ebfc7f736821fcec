"""Work that is done again and again beside the requests."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

LAST_ROUND_S: Final = 1.0
"""How long a round that is under way when the service stops may take to its end."""


async def run_periodically(work: Callable[[], Awaitable[None]], *, every_s: float) -> None:
    """Do the work after each pause until cancelled; a round that is under way then is brought to its end.

    A statement that is cancelled costs its connection, and one whose outcome nobody hears may be done twice.
    """
    while True:
        await asyncio.sleep(every_s)
        round_ = asyncio.ensure_future(work())
        try:
            await asyncio.shield(round_)
        except asyncio.CancelledError:
            await asyncio.wait([round_], timeout=LAST_ROUND_S)
            round_.cancel()
            await asyncio.gather(round_, return_exceptions=True)
            raise
