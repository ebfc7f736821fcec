"""Drills on servers of their own: many under one monitoring, as many at a time as the machine bears."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from lab.drills.drill import Drill
from lab.drills.monitoring import Monitoring
from lab.drills.observe import Say
from lab.drills.outcome import Seen
from lab.drills.run import run_drill
from lab.drills.watch import Watch

HEARTBEAT_WITHIN_S = 120.0
PREFIX = "flightdeck-drill-"


def usually_at_once() -> int:
    """Return how many drills run at a time: most of one is waiting."""
    return max(1, 2 * len(os.sched_getaffinity(0)))


async def run_embedded(drills: Sequence[Drill], seen: Seen, *, data_dir: Path, at_once: int, say: Say) -> None:
    """Run the drills; raise `DrillError` when Prometheus or Alertmanager is not there."""
    await _Session(data_dir, at_once=at_once, seen=seen, say=say).run(drills)


class _Session:
    """The monitoring that the drills share, and who has to wait for whom."""

    def __init__(self, data_dir: Path, *, at_once: int, seen: Seen, say: Say) -> None:
        self._data_dir = data_dir
        self._at_once = at_once
        self._seen = seen
        self._say = say

    async def run(self, drills: Sequence[Drill]) -> None:
        """Run them side by side, then those that want to be alone one after the other."""
        directory = Path(tempfile.mkdtemp(prefix=PREFIX))
        async with AsyncExitStack() as stack:
            stack.callback(shutil.rmtree, directory, ignore_errors=True)
            name = drills[0].name if len(drills) == 1 else "several"
            monitoring = Monitoring(directory, drill=name)
            monitoring.prepare()
            stack.push_async_callback(monitoring.stop)
            await monitoring.start()
            watch = Watch(monitoring.prometheus_url, monitoring.receiver_url)
            await stack.enter_async_context(watch.running())
            await watch.heartbeat(within_s=HEARTBEAT_WITHIN_S)
            await self._side_by_side([drill for drill in drills if not drill.is_alone], monitoring, watch)
            for drill in drills:
                if drill.is_alone:
                    await self._one(drill, monitoring, watch)

    async def _side_by_side(self, drills: Sequence[Drill], monitoring: Monitoring, watch: Watch) -> None:
        # What has to wait for others of its kind begins first, so that it is not what all wait for in the end.
        waiting = sorted(drills, key=lambda drill: not drill.needs)
        running: dict[asyncio.Task[None], Drill] = {}
        async with asyncio.TaskGroup() as group:
            while waiting or running:
                for drill in tuple(waiting):
                    taken = {thing for other in running.values() for thing in other.needs}
                    if len(running) < self._at_once and not drill.needs & taken:
                        running[group.create_task(self._one(drill, monitoring, watch))] = drill
                        waiting.remove(drill)
                ended, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in ended:
                    del running[task]

    async def _one(self, drill: Drill, monitoring: Monitoring, watch: Watch) -> None:
        def say(text: str) -> None:
            self._say(f"{drill.name}: {text}")

        say("begins")
        outcome = await run_drill(drill, data_dir=self._data_dir, monitoring=monitoring, watch=watch, say=say)
        self._seen(outcome)
