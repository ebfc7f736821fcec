import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from lab.drills.environments.embedded import run_parallel
from lab.drills.run.context import DrillContext
from lab.drills.run.drill import Drill, Resource

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def nothing(_: DrillContext) -> AsyncIterator[None]:
    yield


def drill(name: str, *exclusive: Resource, runs_alone: bool = False, fires_within_s: float = 120.0) -> Drill:
    return Drill(
        name=name,
        fault=nothing,
        description="",
        alerts=(),
        exclusive=frozenset(exclusive),
        runs_alone=runs_alone,
        fires_within_s=fires_within_s,
    )


class Recorder:
    """Records which drills overlapped."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.overlaps: set[frozenset[str]] = set()
        self.max_running = 0
        self._running: set[str] = set()

    async def run(self, drill: Drill) -> None:
        self.started.append(drill.name)
        self._running.add(drill.name)
        self.max_running = max(self.max_running, len(self._running))
        self.overlaps |= {frozenset({drill.name, other}) for other in self._running if other != drill.name}
        await asyncio.sleep(0.01)
        self._running.remove(drill.name)


async def test_at_most_the_limit_runs_in_parallel_and_each_drill_runs_once() -> None:
    recorder = Recorder()
    await run_parallel([drill(name) for name in "abcdefg"], recorder.run, limit=3)
    assert recorder.max_running == 3
    assert sorted(recorder.started) == list("abcdefg")


async def test_drills_that_need_the_same_resource_never_overlap() -> None:
    recorder = Recorder()
    drills = [drill("a", "tasks"), drill("b", "tasks"), drill("c", "cpu"), drill("d")]
    await run_parallel(drills, recorder.run, limit=4)
    assert frozenset("ab") not in recorder.overlaps
    assert {frozenset("ac"), frozenset("ad")} <= recorder.overlaps


async def test_drills_with_exclusive_resources_start_first() -> None:
    recorder = Recorder()
    await run_parallel([drill("a"), drill("b"), drill("c", "tasks"), drill("d", "tasks")], recorder.run, limit=1)
    assert recorder.started == ["c", "d", "a", "b"]


async def test_the_longest_drill_starts_before_all_others() -> None:
    recorder = Recorder()
    drills = [drill("a"), drill("b", "tasks"), drill("c", fires_within_s=600.0)]
    await run_parallel(drills, recorder.run, limit=1)
    assert recorder.started == ["c", "b", "a"]


async def test_a_drill_that_runs_alone_overlaps_none_and_runs_last() -> None:
    recorder = Recorder()
    await run_parallel([drill("a", runs_alone=True), drill("b"), drill("c")], recorder.run, limit=4)
    assert recorder.started[-1] == "a"
    assert recorder.overlaps == {frozenset("bc")}


async def test_cancellation_ends_every_drill() -> None:
    cancelled: list[str] = []

    async def run(drill: Drill) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.append(drill.name)

    task = asyncio.create_task(run_parallel([drill("a"), drill("b")], run, limit=2))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(cancelled) == ["a", "b"]
