"""Drills on servers of their own: many under one monitoring, as many at a time as the machine bears."""

import os
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from lab.drills.environments.monitoring import Monitoring
from lab.drills.run.drill import Drill
from lab.drills.run.observe import Say
from lab.drills.run.outcome import Seen
from lab.drills.run.parallel import side_by_side
from lab.drills.run.run import run_drill
from lab.drills.run.watch import Watch

HEARTBEAT_WITHIN_S = 120.0
PREFIX = "flightdeck-drill-"


def usually_at_once() -> int:
    """Return how many drills run at a time: most of one is waiting."""
    return max(1, 2 * len(os.sched_getaffinity(0)))


async def run_embedded(drills: Sequence[Drill], seen: Seen, *, data_dir: Path, at_once: int, say: Say) -> None:
    """Run the drills; raise `DrillError` when Prometheus or Alertmanager is not there."""
    directory = Path(tempfile.mkdtemp(prefix=PREFIX))
    async with AsyncExitStack() as stack:
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        monitoring = Monitoring(directory, drill=drills[0].name if len(drills) == 1 else "several")
        monitoring.prepare()
        stack.push_async_callback(monitoring.stop)
        await monitoring.start()
        watch = Watch(monitoring.prometheus_url, monitoring.receiver_url)
        await stack.enter_async_context(watch.running())
        await watch.heartbeat(within_s=HEARTBEAT_WITHIN_S)

        async def run(drill: Drill) -> None:
            def told(text: str) -> None:
                say(f"{drill.name}: {text}")

            told("begins")
            seen(await run_drill(drill, data_dir=data_dir, monitoring=monitoring, watch=watch, say=told))

        await side_by_side(drills, run, at_once=at_once)
