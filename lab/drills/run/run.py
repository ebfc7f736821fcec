"""One drill from its first process to its last."""

import asyncio
import shutil
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import httpx
import psutil

from lab.drills.environments.monitoring import Monitoring
from lab.drills.run.context import Scene
from lab.drills.run.drill import Drill
from lab.drills.run.errors import DrillError
from lab.drills.run.observe import Say, observe
from lab.drills.run.outcome import Outcome, outcome_of
from lab.drills.run.timeline import Timeline
from lab.drills.run.watch import Watch

FOREIGN: Final = (DrillError, OSError, httpx.HTTPError, psutil.Error)
"""What may happen to processes that are broken on purpose; anything else is a bug of the drill."""


async def run_drill(drill: Drill, *, data_dir: Path, monitoring: Monitoring, watch: Watch, say: Say) -> Outcome:
    """Run one drill and return what was seen; nothing of it is left, whatever happens."""
    timeline = Timeline(arm=drill.name, alerts=drill.alerts)
    failure = ""
    try:
        async with AsyncExitStack() as stack:
            scene = Scene(drill.name, data_dir, monitoring=monitoring, settings=drill.settings)
            stack.push_async_callback(asyncio.to_thread, shutil.rmtree, scene.directory, ignore_errors=True)
            stack.push_async_callback(scene.stop)
            await scene.open(writes=drill.writes)
            if drill.prepare is not None:
                await stack.enter_async_context(drill.prepare(scene))
            await scene.start()
            await stack.enter_async_context(watch.told(timeline))
            await stack.enter_async_context(scene.traffic())
            await observe(drill, drill.fault(scene), timeline, watch=watch, say=say)
    except FOREIGN as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError from error  # what fails while all is ended must not hide the wish to end
        failure = str(error) or repr(error)
        say(f"failed: {failure.splitlines()[0]}")
    return outcome_of(drill, timeline, failure)
