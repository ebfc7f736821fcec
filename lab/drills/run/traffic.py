"""Clients that ask for the same paths again and again while a drill runs."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from itertools import cycle

import httpx


def traffic(
    url: Callable[[], str], paths: Sequence[str], *, clients: int, pause_s: float
) -> AbstractAsyncContextManager[None]:
    """Return a block during which clients ask for these paths in turn, each from another one on.

    `url` is asked each time: a service may move. What fails is not repeated.
    """
    firsts = [number % len(paths) for number in range(clients)]
    return during([_client(url, (*paths[first:], *paths[:first]), pause_s) for first in firsts])


@asynccontextmanager
async def during(work: Iterable[Coroutine[None, None, None]]) -> AsyncIterator[None]:
    """Return a block during which this work is done."""
    tasks = [asyncio.create_task(one) for one in work]
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
