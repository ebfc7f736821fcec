"""One drill from the first process to the last: all is well, the fault, the alerts, the repair, all is well."""

import asyncio
import shutil
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import httpx
import psutil

from lab.drills.drill import Drill
from lab.drills.errors import DrillError
from lab.drills.monitoring import Monitoring
from lab.drills.outcome import Outcome, outcome_of
from lab.drills.scene import Scene
from lab.drills.timeline import Timeline
from lab.drills.watch import Watch

CALM_WITHIN_S = 120.0
"""From the start of the service until none of the drill's alerts has been active for as long as the drill asks."""

Say = Callable[[str], None]

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
            await _seen(drill, scene, timeline, watch=watch, say=say)
    except FOREIGN as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError from error  # what fails while all is ended must not hide the wish to end
        failure = str(error) or repr(error)
        say(f"failed: {failure.splitlines()[0]}")
    return outcome_of(drill, timeline, failure)


async def _seen(drill: Drill, scene: Scene, timeline: Timeline, *, watch: Watch, say: Say) -> None:
    alerts = " and ".join(drill.alerts)

    async def until(seen: Callable[[], bool], what: str, within_s: float) -> None:
        await watch.until(seen, what, timeline, within_s=within_s)

    await until(
        lambda: timeline.quiet_for_s() >= drill.warm_s,
        f"{drill.warm_s:.0f} s without {alerts}",
        CALM_WITHIN_S + drill.warm_s,
    )
    say(f"all is well; now: {drill.breaks}")
    async with AsyncExitStack() as broken:
        timeline.note("fault")
        begun_s = timeline.now_s()
        await broken.enter_async_context(drill.fault(scene))
        sign = "delivered" if drill.is_heard else "firing"
        for alert in drill.alerts:
            await until(
                lambda alert=alert: timeline.at_s(sign, alert, since_s=begun_s) is not None,  # type: ignore[misc]  # a default binds it
                f"{alert} {sign}",
                drill.fires_within_s,
            )
            say(f"{alert} {'arrived' if drill.is_heard else 'fires'}")
        timeline.note("repair")
    say("repaired")
    over = timeline.is_over if drill.is_heard else timeline.is_resolved
    for alert in drill.alerts:
        await until(lambda alert=alert: over(alert), f"the end of {alert}", drill.resolves_within_s)  # type: ignore[misc]  # a default binds it
        say(f"{alert} is over")
