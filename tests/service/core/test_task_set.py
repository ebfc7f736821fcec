"""Tasks of an object end with it, whatever becomes of a cancellation."""

import asyncio

import pytest

from service.core import task_set as module
from service.core.task_set import TaskSet, run_in_background

pytestmark = pytest.mark.anyio


class Deaf:
    """Work that loses cancellations, as `asyncio.wait_for()` does in Python 3.11."""

    def __init__(self, *, losses: int) -> None:
        self.begun = asyncio.Event()
        self._left = losses

    async def __call__(self) -> None:
        self.begun.set()
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                if not self._left:
                    raise
                self._left -= 1


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AGAIN_S", 0.01)


@pytest.mark.parametrize("losses", [0, 1, 3])
async def test_closing_ends_every_task(losses: int) -> None:
    tasks, works = TaskSet(), [Deaf(losses=losses), Deaf(losses=0)]
    started = [tasks.start(work()) for work in works]
    for work in works:
        await work.begun.wait()
    async with asyncio.timeout(60):
        await tasks.close()
    assert all(task.cancelled() for task in started)


async def test_the_end_of_a_block_ends_its_work() -> None:
    work = Deaf(losses=1)
    async with asyncio.timeout(60):
        async with run_in_background(work):
            await work.begun.wait()


async def test_a_failure_of_the_work_is_raised_at_the_end_of_the_block() -> None:
    async def failing() -> None:
        raise ValueError("of the work")

    with pytest.raises(ValueError, match="of the work"):
        async with run_in_background(failing):
            await asyncio.sleep(0)


async def test_closing_drops_the_failure_of_a_task() -> None:
    async def failing_at_the_end() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            raise ValueError("while it ended")

    tasks = TaskSet()
    tasks.start(failing_at_the_end())
    await asyncio.sleep(0)
    await tasks.close()
