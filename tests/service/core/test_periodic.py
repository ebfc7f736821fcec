"""Periodic work is repeated until the service stops, and a run in progress completes."""

import asyncio
from contextlib import suppress

import pytest

from service.core import periodic as module
from service.core.periodic import run_periodically


class Work:
    """Runs that complete on an event, and their outcomes."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.may_end = asyncio.Event()
        self.ended = 0
        self.cancelled = 0

    async def __call__(self) -> None:
        self.begun.set()
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        self.ended += 1


async def stopped(running: "asyncio.Task[None]") -> None:
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_rounds_follow_each_other_until_they_are_stopped() -> None:
    work = Work()
    work.may_end.set()
    running = asyncio.create_task(run_periodically(work, every_s=0.001))
    async with asyncio.timeout(60):
        for _ in range(3):
            work.begun.clear()
            await work.begun.wait()
    await stopped(running)
    ended = work.ended
    await asyncio.sleep(0.01)
    assert work.ended == ended


async def test_a_run_in_progress_completes() -> None:
    work = Work()
    running = asyncio.create_task(run_periodically(work, every_s=0))
    await work.begun.wait()
    asyncio.get_running_loop().call_later(0.01, work.may_end.set)
    await stopped(running)
    assert (work.ended, work.cancelled) == (1, 0)


async def test_a_run_that_takes_too_long_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LAST_RUN_TIMEOUT_S", 0.01)
    work = Work()
    running = asyncio.create_task(run_periodically(work, every_s=0))
    await work.begun.wait()
    await stopped(running)
    assert (work.ended, work.cancelled) == (0, 1)
