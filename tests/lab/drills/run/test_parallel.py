import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from lab.drills.run.context import Scene
from lab.drills.run.drill import Drill, Shared
from lab.drills.run.parallel import side_by_side

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def nothing(_: Scene) -> AsyncIterator[None]:
    yield


def drill(name: str, *needs: Shared, is_alone: bool = False, fires_within_s: float = 120.0) -> Drill:
    return Drill(
        name=name,
        fault=nothing,
        breaks="",
        alerts=(),
        needs=frozenset(needs),
        is_alone=is_alone,
        fires_within_s=fires_within_s,
    )


class Floor:
    """Where drills run; it remembers who was beside whom."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.together: set[frozenset[str]] = set()
        self.most = 0
        self._now: set[str] = set()

    async def run(self, drill: Drill) -> None:
        self.begun.append(drill.name)
        self._now.add(drill.name)
        self.most = max(self.most, len(self._now))
        self.together |= {frozenset({drill.name, other}) for other in self._now if other != drill.name}
        await asyncio.sleep(0.01)
        self._now.remove(drill.name)


async def test_as_many_run_at_a_time_as_are_allowed_and_each_runs_once() -> None:
    floor = Floor()
    await side_by_side([drill(name) for name in "abcdefg"], floor.run, at_once=3)
    assert floor.most == 3
    assert sorted(floor.begun) == list("abcdefg")


async def test_two_that_need_the_same_thing_are_never_beside_each_other() -> None:
    floor = Floor()
    drills = [drill("a", "tasks"), drill("b", "tasks"), drill("c", "processor"), drill("d")]
    await side_by_side(drills, floor.run, at_once=4)
    assert frozenset("ab") not in floor.together
    assert {frozenset("ac"), frozenset("ad")} <= floor.together


async def test_what_others_wait_for_begins_first() -> None:
    floor = Floor()
    await side_by_side([drill("a"), drill("b"), drill("c", "tasks"), drill("d", "tasks")], floor.run, at_once=1)
    assert floor.begun == ["c", "d", "a", "b"]


async def test_what_takes_longest_begins_before_all_others() -> None:
    floor = Floor()
    drills = [drill("a"), drill("b", "tasks"), drill("c", fires_within_s=600.0)]
    await side_by_side(drills, floor.run, at_once=1)
    assert floor.begun == ["c", "b", "a"]


async def test_one_that_wants_to_be_alone_is_alone_and_last() -> None:
    floor = Floor()
    await side_by_side([drill("a", is_alone=True), drill("b"), drill("c")], floor.run, at_once=4)
    assert floor.begun[-1] == "a"
    assert floor.together == {frozenset("bc")}


async def test_when_one_ends_the_whole_the_others_end_too() -> None:
    ended: list[str] = []

    async def run(drill: Drill) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(drill.name)

    task = asyncio.create_task(side_by_side([drill("a"), drill("b")], run, at_once=2))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(ended) == ["a", "b"]
