"""Clients that request the same paths in a cycle while a drill runs."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from itertools import cycle

import httpx


def traffic(
    url: Callable[[], str], paths: Sequence[str], *, clients: int, pause_s: float
) -> AbstractAsyncContextManager[None]:
    """Return a block during which clients request these paths in a cycle, each starting at another path.

    `url` is called for each request, because a deploy changes the URL. Failed requests are not retried.
    """
    firsts = [number % len(paths) for number in range(clients)]
    return in_background([_client(url, (*paths[first:], *paths[:first]), pause_s) for first in firsts])


@asynccontextmanager
async def in_background(coroutines: Iterable[Coroutine[None, None, None]]) -> AsyncIterator[None]:
    """Return a block during which these run; they are cancelled at its end."""
    tasks = [asyncio.create_task(one) for one in coroutines]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _client(url: Callable[[], str], paths: Sequence[str], pause_s: float) -> None:
    async with httpx.AsyncClient(timeout=10.0) as client:
        for path in cycle(paths):
            with suppress(httpx.HTTPError):
                await client.get(url() + path)
            await asyncio.sleep(pause_s)
