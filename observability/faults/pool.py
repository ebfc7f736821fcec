"""Holds every connection of the observed pools, as a route that keeps its connection too long does."""

import asyncio
from collections.abc import Iterable
from concurrent.futures import Future
from contextlib import AsyncExitStack, ExitStack
from math import isfinite
from threading import Event, Thread
from time import monotonic
from typing import Any

from sqlalchemy import Engine, QueuePool
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from observability.compat.sqlalchemy import connection_limit
from observability.core.internal_errors import suppress_internal_errors
from observability.faults.fault import POOL, record_of
from observability.request.record import current_request


class HeldPools:
    """Takes every connection of the pools, each as it becomes free, and returns them in the end.

    It stops taking where a connection cannot be had, because the application holds the rest.
    """

    def __init__(self, engines: Iterable[Engine], loop: asyncio.AbstractEventLoop, *, seconds: float) -> None:
        self._until = monotonic() + seconds
        self._released = Event()
        self._threads: list[Thread] = []
        self._futures: list[Future[Any]] = []
        for engine in engines:
            if engine.dialect.is_async:
                self._futures.append(asyncio.run_coroutine_threadsafe(self._hold_async(engine), loop))
            else:
                thread = Thread(target=self._hold, args=(engine,), name="observability-fault", daemon=True)
                thread.start()
                self._threads.append(thread)

    @property
    def is_running(self) -> bool:
        return any(one.is_alive() for one in self._threads) or not all(one.done() for one in self._futures)

    def end(self) -> None:
        self._released.set()
        for future in self._futures:
            future.cancel()

    def _hold(self, engine: Engine) -> None:
        current_request.set(record_of(POOL))
        with suppress_internal_errors("faults"), ExitStack() as held:
            for _ in range(int(connection_limit(engine.pool))):
                if self._released.is_set() or monotonic() >= self._until:
                    return
                try:
                    held.enter_context(engine.connect())
                except SQLAlchemyError:
                    break
            self._released.wait(max(0.0, self._until - monotonic()))

    async def _hold_async(self, engine: Engine) -> None:
        current_request.set(record_of(POOL))
        with suppress_internal_errors("faults"):
            async with AsyncExitStack() as held:
                for _ in range(int(connection_limit(engine.pool))):
                    if monotonic() >= self._until:
                        return
                    try:
                        await held.enter_async_context(AsyncEngine(engine).connect())
                    except SQLAlchemyError:
                        break
                await asyncio.sleep(max(0.0, self._until - monotonic()))


def with_limit(engines: Iterable[Engine]) -> list[Engine]:
    """Return the engines whose pool has a limit."""
    return [one for one in engines if isinstance(one.pool, QueuePool) and isfinite(connection_limit(one.pool))]
