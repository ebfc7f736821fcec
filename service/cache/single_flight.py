"""Single flight in this process: whoever asks for what is already being computed waits for it."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any

from service.http.cache_model.entry import Entry

logger = logging.getLogger(__name__)


class Flight:
    """One computation that several requests may wait for."""

    def __init__(self, began: float) -> None:
        self.began = began
        self.answer: asyncio.Future[Entry | None] = asyncio.get_running_loop().create_future()
        """The answer; None when it went to the first asker alone and is nobody else's."""
        self.task: asyncio.Task[None] | None = None
        """Runs the computation, and what the application does after its answer."""
        self.is_watched = True
        """Whether the first asker is still there to be told of a failure."""


class Flights:
    """The computations under way, by key. They belong to no request: a client that leaves ends none of them."""

    def __init__(self, *, patience_s: float, clock: Callable[[], float]) -> None:
        self._patience_s = patience_s
        self._clock = clock
        self._flights: dict[bytes, Flight] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def joinable(self, key: bytes) -> Flight | None:
        """Return the flight to wait for, or None if there is none or it has taken too long."""
        flight = self._flights.get(key)
        if flight is None or self._clock() - flight.began >= self._patience_s:
            return None
        return flight

    def depart(self, key: bytes, computation: Callable[[Flight], Coroutine[Any, Any, None]]) -> Flight:
        """Start a computation that later askers for the key join."""
        flight = self._flights[key] = Flight(self._clock())
        flight.task = self.hold(self._flown(key, flight, computation(flight)))
        return flight

    def land(self, key: bytes, flight: Flight, answer: Entry | None) -> None:
        """Give the answer to all who wait; who asks from now on starts again."""
        self._leave(key, flight)
        if not flight.answer.done():
            flight.answer.set_result(answer)

    async def led(self, flight: Flight) -> bool:
        """Wait for the answer as the first asker; return False if the computation was aborted."""
        try:
            await asyncio.wait({flight.answer})
        except asyncio.CancelledError:
            flight.is_watched = False
            raise
        return not flight.answer.cancelled()

    async def ended(self, flight: Flight) -> None:
        """Wait until the application is done; raise what it raised after its answer."""
        if flight.task is None:
            return
        try:
            await asyncio.wait({flight.task})
        except asyncio.CancelledError:
            flight.is_watched = False
            if flight.answer.done() and not flight.answer.cancelled() and flight.answer.result() is None:
                flight.task.cancel()  # what it still sends is for nobody else
            raise
        if not flight.task.cancelled():
            flight.task.result()

    async def joined(self, flight: Flight) -> bool:
        """Wait for the flight's answer; return False if it takes too long or was aborted."""
        left_s = self._patience_s - (self._clock() - flight.began)
        done, _ = await asyncio.wait({flight.answer}, timeout=left_s)
        return bool(done) and not flight.answer.cancelled()

    def hold(self, work: Coroutine[Any, Any, None], *, context: Context | None = None) -> asyncio.Task[None]:
        """Run work beside the requests until it ends or `close` ends it."""
        task = asyncio.get_running_loop().create_task(work, context=context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """Cancel everything that still runs and wait for its end."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _flown(self, key: bytes, flight: Flight, computation: Coroutine[Any, Any, None]) -> None:
        try:
            await computation
        except Exception as error:
            self._leave(key, flight)
            if not flight.is_watched:
                logger.exception("a computation failed after the client that asked first had left")
            elif flight.answer.done():
                raise
            if not flight.answer.done():
                flight.answer.set_exception(error)
                flight.answer.exception()  # retrieved, also when nobody waits
        finally:
            self._leave(key, flight)
            flight.answer.cancel()

    def _leave(self, key: bytes, flight: Flight) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
