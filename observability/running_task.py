"""What an event loop is doing at this moment, asked from another thread."""

import asyncio
import gc
import sys
from contextvars import Context
from dataclasses import dataclass
from traceback import StackSummary, walk_stack
from types import CodeType, FrameType
from typing import Any, Final

from observability.request import RequestRecord, current_request
from observability.route import route_template

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
