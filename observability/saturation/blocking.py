"""Detection of what blocks the event loop: a thread samples the running task while the loop is late.

Time is attributed by samples: a handler that blocks gets all of it, many short steps share it. A task that is in two
consecutive samples while the loop is late by more than the limit is a block: its stack is added to the log and to the
trace of its request while it still runs.
"""

import asyncio
import gc
import logging
import sys
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass
from threading import Event, Thread
from time import perf_counter
from traceback import StackSummary, walk_stack
from types import CodeType, FrameType
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.util.types import AttributeValue
from prometheus_client import Counter

from observability.core.internal_errors import suppress_internal_errors
from observability.core.semconv import BLOCKED_S, CODE_STACKTRACE, EVENT_LOOP_BLOCKED
from observability.metrics.histogram import exemplar
from observability.request.record import RequestRecord, current_request
from observability.request.route import handler_of

MAX_FRAMES: Final = 30
"""Of a stack, the innermost ones."""


@dataclass(frozen=True)
class RunningTask:
    """What the loop's thread runs: a task and its context, or a callback with neither."""

    frame: FrameType
    task: asyncio.Task[Any] | None
    context: Context

    @property
    def request(self) -> RequestRecord | None:
        """The request of the task; tasks that a handler started inherit its request."""
        return self.context.run(current_request.get)

    @property
    def handler(self) -> str:
        return handler_of(self.request)

    def stack(self) -> str:
        """Return the stack as in a traceback, innermost call last, without local variables."""
        summary = StackSummary.extract(walk_stack(self.frame), limit=MAX_FRAMES)
        summary.reverse()
        return "".join(summary.format()).rstrip()


def running_task(loop: asyncio.AbstractEventLoop, thread_id: int) -> RunningTask | None:
    """Return what the loop in that thread runs, or None while it is idle."""
    frame = sys._current_frames().get(thread_id)  # noqa: SLF001 the only way to see another thread's stack
    if frame is None:
        return None
    task = asyncio.current_task(loop)
    if task is None and _is_waiting(frame.f_code):
        return None
    context = _context_of(task) if task is not None else None
    return RunningTask(frame, task, context if context is not None else Context())


def _is_waiting(code: CodeType) -> bool:
    """Return whether the innermost frame is the loop itself: in its selector, or in uvloop, which has no frames."""
    return code.co_name in {"select", "_run_once", "run_forever", "run_until_complete", "run"}


def _context_of(task: asyncio.Task[Any]) -> Context | None:
    """Return a copy of the task's context, as a running one cannot be entered again."""
    if sys.version_info >= (3, 12):
        return task.get_context().copy()
    # Python 3.11 has no access to the context of a task, except for the garbage collector.
    return next((referent.copy() for referent in gc.get_referents(task) if isinstance(referent, Context)), None)


LOG_EVERY_S: Final = 10.0
"""Minimum time between two log records of one handler; the counter and the traces have every block."""

logger: Final = logging.getLogger("observability.saturation.event_loop")


@dataclass
class _Block:
    """A task that blocks the loop, without references that would keep its objects alive."""

    task_id: int
    handler: str
    attributes: dict[str, AttributeValue]
    """Of the span event; they still change."""
    context: Context
    link: dict[str, str] | None
    """The exemplar of the trace; None if it is not sampled."""
    seconds: float
    logged: bool = False


class BlockDetector:
    """A thread that samples what a loop runs while it is late."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, thread_id: int, *, late_s: Callable[[], float], blocked: Counter
    ) -> None:
        self._loop = loop
        self._thread_id = thread_id
        task = asyncio.current_task(loop)
        self._startup_task = None if task is None else id(task)
        self._late_s = late_s
        self._blocked = blocked
        self._stopped = Event()
        self._thread: Thread | None = None
        self._suspect: int | None = None
        self._block: _Block | None = None
        self._exemplar: dict[str, str] | None = None
        self._sampled_at: float | None = None
        self._logged: dict[str, float] = {}

    def start(self, *, blocked_after_s: float) -> None:
        """Sample twice per `blocked_after_s` seconds, and ten times once the loop is late, until `stop()`."""
        self._thread = Thread(target=self._run, args=(blocked_after_s,), name="observability-event-loop", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(timeout=1.0)

    def take_exemplar(self) -> dict[str, str] | None:
        """Return the exemplar of the request that blocked the loop since the last call; None if it is not sampled.

        The block may have ended already: this thread may run between its end and the late timer.
        """
        taken, self._exemplar = self._exemplar, None
        return taken

    def _run(self, blocked_after_s: float) -> None:
        samples = 2
        while not self._stopped.wait(blocked_after_s / samples):
            with suppress_internal_errors("event_loop"):
                self._sample(blocked_after_s)
            samples = 10 if self._suspect is not None and self._block is None else 2
        with suppress_internal_errors("event_loop"):
            self._end_block()

    def _sample(self, blocked_after_s: float) -> None:
        late_s = self._late_s()
        running = running_task(self._loop, self._thread_id) if late_s >= blocked_after_s / 4 else None
        if running is None or self._is_startup_task(running):
            self._end_block()
            return
        now = perf_counter()
        handler = running.handler
        self._blocked.labels(handler).inc(late_s if self._sampled_at is None else now - self._sampled_at)
        self._sampled_at = now
        task_id = id(running.task)
        if self._block is not None and self._block.task_id == task_id:
            self._continue(self._block, late_s)
        elif self._suspect == task_id and late_s >= blocked_after_s:
            self._end_block()
            self._sampled_at = now
            self._begin(running, handler, late_s)
        self._suspect = task_id

    def _is_startup_task(self, running: RunningTask) -> bool:
        """Return whether the application starts or stops: in the task that started this detector."""
        return id(running.task) == self._startup_task and running.request is None

    def _begin(self, running: RunningTask, handler: str, late_s: float) -> None:
        request, stack = running.request, running.stack()
        context = running.context
        attributes: dict[str, AttributeValue] = {CODE_STACKTRACE: stack, BLOCKED_S: late_s}
        if request is not None:
            request.add_event(EVENT_LOOP_BLOCKED, attributes)
        else:
            context.run(trace.get_current_span).add_event(EVENT_LOOP_BLOCKED, attributes)
        self._block = block = _Block(
            id(running.task), handler, attributes, context, link=context.run(exemplar), seconds=late_s
        )
        self._exemplar = block.link
        now = perf_counter()
        if now - self._logged.get(handler, -LOG_EVERY_S) >= LOG_EVERY_S:
            self._logged[handler] = now
            block.logged = True
            block.context.run(_log, "event loop blocked by %s for %.2f s so far", handler, late_s, stack=stack)

    def _continue(self, block: _Block, late_s: float) -> None:
        """Update the event on every sample: the request may end before this thread runs again."""
        block.seconds = late_s
        self._exemplar = block.link
        block.attributes[BLOCKED_S] = round(late_s, 3)

    def _end_block(self) -> None:
        block, self._block, self._suspect, self._sampled_at = self._block, None, None, None
        if block is not None and block.logged:
            block.context.run(_log, "event loop was blocked by %s for about %.2f s", block.handler, block.seconds)


def _log(message: str, handler: str, seconds: float, stack: str | None = None) -> None:
    """Log with the stack as if it were this thread's own, so that formatters show it."""
    if logger.isEnabledFor(logging.WARNING):
        values = (handler, seconds)
        logger.handle(logger.makeRecord(logger.name, logging.WARNING, __file__, 0, message, values, None, sinfo=stack))
