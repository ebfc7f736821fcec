"""Runs drills in parallel, but never two that need the same resource."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence

from lab.drills.run.drill import Drill

Run = Callable[[Drill], Coroutine[None, None, None]]


async def run_parallel(drills: Sequence[Drill], run: Run, *, limit: int) -> None:
    """Run at most `limit` drills at a time, then one after the other those that run alone."""
    # The longest first, then those that need a resource: they would determine when the last drill ends.
    queued = [drill for drill in drills if not drill.runs_alone]
    queued.sort(key=lambda drill: (-drill.fires_within_s, not drill.exclusive))
    running: dict[asyncio.Task[None], Drill] = {}
    async with asyncio.TaskGroup() as group:
        while queued or running:
            for drill in tuple(queued):
                in_use = {resource for other in running.values() for resource in other.exclusive}
                if len(running) < limit and not drill.exclusive & in_use:
                    running[group.create_task(run(drill))] = drill
                    queued.remove(drill)
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                del running[task]
    for drill in drills:
        if drill.runs_alone:
            await run(drill)
