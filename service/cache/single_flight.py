"""Single flight: concurrent requests for one key share one computation in this process."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from service.core.task_set import TaskSet
from service.http.cache_model.entry import Entry

logger = logging.getLogger(__name__)


class PendingCall:
    """A computation with one leader, the request that started it, and any number of followers."""

    def __init__(self, started_at: float) -> None:
        self.started_at = started_at
        self.result: asyncio.Future[Entry | None] = asyncio.get_running_loop().create_future()
        """The entry, or None if the response went to the leader only and may not be shared."""
        self.task: asyncio.Task[None] | None = None
        """Runs the computation, and what the application does after its response."""
        self.has_leader = True
        """Whether the leader still waits, and receives a failure."""


class SingleFlight:
    """The pending calls by key. They run in their own tasks: a client that disconnects cancels none of them."""

    def __init__(self, *, timeout_s: float, clock: Callable[[], float]) -> None:
        self.tasks = TaskSet()
        self._timeout_s = timeout_s
        self._clock = clock
        self._calls: dict[bytes, PendingCall] = {}

    def find(self, key: bytes) -> PendingCall | None:
        """Return the call to follow, or None if there is none or it has taken too long."""
        call = self._calls.get(key)
        if call is None or self._clock() - call.started_at >= self._timeout_s:
            return None
        return call

    def start(self, key: bytes, computation: Callable[[PendingCall], Coroutine[Any, Any, None]]) -> PendingCall:
        """Start a computation that later requests for the key follow."""
        call = self._calls[key] = PendingCall(self._clock())
        call.task = self.tasks.start(self._run(key, call, computation(call)))
        return call

    def resolve(self, key: bytes, call: PendingCall, entry: Entry | None) -> None:
        """Give the result to the leader and all followers; the next request for the key starts a new call."""
        self._remove(key, call)
        if not call.result.done():
            call.result.set_result(entry)

    async def wait_leader(self, call: PendingCall) -> bool:
        """Wait for the result as the leader; return False if the computation was cancelled."""
        try:
            await asyncio.wait({call.result})
        except asyncio.CancelledError:
            call.has_leader = False
            raise
        return not call.result.cancelled()

    async def wait_follower(self, call: PendingCall) -> bool:
        """Wait for the result as a follower; return False after the timeout or if the computation was cancelled."""
        remaining_s = self._timeout_s - (self._clock() - call.started_at)
        done, _ = await asyncio.wait({call.result}, timeout=remaining_s)
        return bool(done) and not call.result.cancelled()

    async def wait_done(self, call: PendingCall) -> None:
        """Wait until the application is done; raise what it raised after its response."""
        if call.task is None:
            return
        try:
            await asyncio.wait({call.task})
        except asyncio.CancelledError:
            call.has_leader = False
            if call.result.done() and not call.result.cancelled() and call.result.result() is None:
                call.task.cancel()  # the rest of the response is for this client only
            raise
        if not call.task.cancelled():
            call.task.result()

    async def _run(self, key: bytes, call: PendingCall, computation: Coroutine[Any, Any, None]) -> None:
        try:
            await computation
        except Exception as error:
            self._remove(key, call)
            if not call.has_leader:
                logger.exception("a computation failed after its client had disconnected")
            elif call.result.done():
                raise
            if not call.result.done():
                call.result.set_exception(error)
                call.result.exception()  # marks it as retrieved: there may be no follower
        finally:
            self._remove(key, call)
            call.result.cancel()

    def _remove(self, key: bytes, call: PendingCall) -> None:
        if self._calls.get(key) is call:
            del self._calls[key]
