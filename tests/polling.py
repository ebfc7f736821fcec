"""Waiting for what another task, thread, process or server does."""

import asyncio
from collections.abc import Callable
from time import monotonic, sleep
from typing import TypeVar

Value = TypeVar("Value")


def eventually(condition: Callable[[], Value], *, within_s: float = 60.0, every_s: float = 0.01) -> Value:
    """Return the condition's value as soon as it is true; fail with the last one after the time."""
    deadline = monotonic() + within_s
    while not (found := condition()):
        assert monotonic() < deadline, f"still {found!r} after {within_s:g} s"
        sleep(every_s)
    return found


async def eventually_in_loop(condition: Callable[[], Value], *, within_s: float = 60.0) -> Value:
    """Return the condition's value as soon as it is true; the event loop runs meanwhile."""
    deadline = monotonic() + within_s
    while not (found := condition()):
        assert monotonic() < deadline, f"still {found!r} after {within_s:g} s"
        await asyncio.sleep(0.002)
    return found
