"""Who runs beside whom: as many drills at a time as are allowed, and never two that need the same thing."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence

from lab.drills.run.drill import Drill

Run = Callable[[Drill], Coroutine[None, None, None]]


async def side_by_side(drills: Sequence[Drill], run: Run, *, at_once: int) -> None:
    """Run the drills, and afterwards those that want to be alone, one after the other."""
    # What takes longest begins first, then what has to wait for others of its kind: all would wait for it in the end.
    beside = [drill for drill in drills if not drill.is_alone]
    waiting = sorted(beside, key=lambda drill: (-drill.fires_within_s, not drill.needs))
    running: dict[asyncio.Task[None], Drill] = {}
    async with asyncio.TaskGroup() as group:
        while waiting or running:
            for drill in tuple(waiting):
                taken = {thing for other in running.values() for thing in other.needs}
                if len(running) < at_once and not drill.needs & taken:
                    running[group.create_task(run(drill))] = drill
                    waiting.remove(drill)
            ended, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                del running[task]
    for drill in drills:
        if drill.is_alone:
            await run(drill)
