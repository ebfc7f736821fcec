"""Who blocks the event loop: a thread looks at the running task while the loop is late.

Time is attributed by samples: one handler that blocks gets all of it, many short steps share it. A task that is found
in two samples in a row, the loop being late by more than the limit, is a block: its stack goes to the log and to the
trace of its request, while it still runs.
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
from opentelemetry.semconv.attributes.code_attributes import CODE_STACKTRACE
from opentelemetry.util.types import AttributeValue
from prometheus_client import Counter

from observability.core.internal_errors import suppress_internal_errors
from observability.metrics.histogram import exemplar
from observability.request.record import RequestRecord, current_request
from observability.request.route import route_template

NO_HANDLER: Final = "none"
"""The handler label of work that belongs to no request: start-up, timers, background loops."""

DEEPEST_STACK: Final = 30
"""Frames of a stack that are kept, the innermost ones."""


@dataclass(frozen=True)
class RunningTask:
    """What the loop's thread is running: a task and its context, or a plain callback with neither."""

    frame: FrameType
    task: asyncio.Task[Any] | None
    context: Context

    @property
    def request(self) -> RequestRecord | None:
        """The request that the task works for; tasks started by a handler work for its request too."""
        return self.context.run(current_request.get)

    @property
    def handler(self) -> str:
        """The route template of the request, or `none`."""
        request = self.request
        return NO_HANDLER if request is None else route_template(request.scope)

    def stack(self) -> str:
        """Return the stack as in a traceback, innermost call last, without values of variables."""
        summary = StackSummary.extract(walk_stack(self.frame), limit=DEEPEST_STACK)
        summary.reverse()
        return "".join(summary.format()).rstrip()


def running_task(loop: asyncio.AbstractEventLoop, thread_id: int) -> RunningTask | None:
    """Return what the loop in that thread is running, or None while it waits for something to do."""
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
    """Return a copy of the task's context: one that runs cannot be entered a second time."""
    if sys.version_info >= (3, 12):
        return task.get_context().copy()
    # Python 3.11 keeps the context of a task to itself, but shows it to the garbage collector.
    return next((referent.copy() for referent in gc.get_referents(task) if isinstance(referent, Context)), None)


LOG_EVERY_S: Final = 10.0
"""One handler's blocks are logged at most this often; the counter and the traces have them all."""

logger: Final = logging.getLogger("observability.saturation.event_loop")


@dataclass
class _Block:
    """One task that keeps the loop, without the references that would keep its objects alive."""

    task_id: int
    handler: str
    attributes: dict[str, AttributeValue]
    """Of the event on the trace; they still change."""
    context: Context
    link: dict[str, str] | None
    """The exemplar that leads to the trace; None when nobody keeps it."""
    seconds: float
    logged: bool = False


class BlockDetector:
    """A thread that looks at a loop, and when it is late, at what it runs."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, thread_id: int, *, late_s: Callable[[], float], blocked: Counter
    ) -> None:
        self._loop = loop
        self._thread_id = thread_id
        task = asyncio.current_task(loop)
        self._starter = None if task is None else id(task)
        self._late_s = late_s
        self._blocked = blocked
        self._stopped = Event()
        self._thread: Thread | None = None
        self._suspect: int | None = None
        self._block: _Block | None = None
        self._sampled: float | None = None
        self._logged: dict[str, float] = {}

    def start(self, *, blocked_after_s: float) -> None:
        """Look twice in `blocked_after_s` seconds, and ten times once the loop is late, until `stop()`."""
        self._thread = Thread(target=self._run, args=(blocked_after_s,), name="observability-event-loop", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop looking."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(timeout=1.0)

    def blocking_exemplar(self) -> dict[str, str] | None:
        """Return the exemplar of the request that blocks, or None when nobody keeps its trace."""
        block = self._block
        return None if block is None else block.link

    def _run(self, blocked_after_s: float) -> None:
        looks = 2
        while not self._stopped.wait(blocked_after_s / looks):
            with suppress_internal_errors("event_loop"):
                self._look(blocked_after_s)
            looks = 10 if self._suspect is not None and self._block is None else 2

    def _look(self, blocked_after_s: float) -> None:
        late_s = self._late_s()
        running = running_task(self._loop, self._thread_id) if late_s >= blocked_after_s / 4 else None
        if running is None or self._is_startup_task(running):
            self._forget()
            return
        now = perf_counter()
        handler = running.handler
        self._blocked.labels(handler).inc(late_s if self._sampled is None else now - self._sampled)
        self._sampled = now
        task_id = id(running.task)
        if self._block is not None and self._block.task_id == task_id:
            self._continue(self._block, late_s)
        elif self._suspect == task_id and late_s >= blocked_after_s:
            self._forget()
            self._sampled = now
            self._begin(running, handler, late_s)
        self._suspect = task_id

    def _is_startup_task(self, running: RunningTask) -> bool:
        """Return whether the application is only starting or stopping: in the task that started this watch."""
        return id(running.task) == self._starter and running.request is None

    def _begin(self, running: RunningTask, handler: str, late_s: float) -> None:
        request, stack = running.request, running.stack()
        context = running.context
        attributes: dict[str, AttributeValue] = {CODE_STACKTRACE: stack, "event_loop.blocked_seconds": late_s}
        if request is not None:
            request.add_event("event_loop.blocked", attributes)
        else:
            context.run(trace.get_current_span).add_event("event_loop.blocked", attributes)
        self._block = block = _Block(
            id(running.task), handler, attributes, context, link=context.run(exemplar), seconds=late_s
        )
        now = perf_counter()
        if now - self._logged.get(handler, -LOG_EVERY_S) >= LOG_EVERY_S:
            self._logged[handler] = now
            block.logged = True
            block.context.run(_log, "event loop blocked by %s for %.2f s so far", handler, late_s, stack=stack)

    def _continue(self, block: _Block, late_s: float) -> None:
        """Write down how long the block has taken so far: the request may end before anybody else runs."""
        block.seconds = late_s
        block.attributes["event_loop.blocked_seconds"] = round(late_s, 3)

    def _forget(self) -> None:
        block, self._block, self._suspect, self._sampled = self._block, None, None, None
        if block is not None and block.logged:
            block.context.run(_log, "event loop was blocked by %s for about %.2f s", block.handler, block.seconds)


def _log(message: str, handler: str, seconds: float, stack: str | None = None) -> None:
    """Log as if the stack had been this thread's own: formatters know what to do with it."""
    if logger.isEnabledFor(logging.WARNING):
        values = (handler, seconds)
        logger.handle(logger.makeRecord(logger.name, logging.WARNING, __file__, 0, message, values, None, sinfo=stack))
