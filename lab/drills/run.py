"""One drill from the first process to the last: all is well, the fault, the alerts, the repair, all is well."""

import asyncio
import shutil
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lab.drills.drill import Drill
from lab.drills.errors import DrillError
from lab.drills.monitoring import Monitoring
from lab.drills.scene import Scene
from lab.drills.timeline import Event, Timeline

CALM_WITHIN_S = 40.0


@dataclass(frozen=True, kw_only=True)
class AlertTimes:
    """Seconds of one alert: from the fault until it was seen, from the repair until it was gone."""

    alert: str
    pending_s: float | None
    firing_s: float | None
    delivered_s: float | None
    resolved_s: float | None
    delivered_resolved_s: float | None
    notification: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a drill showed."""

    drill: str
    breaks: str
    alerts: tuple[AlertTimes, ...]
    events: tuple[Event, ...]
    """What happened, in seconds since the fault; below zero while all was made ready."""
    also_fired: tuple[str, ...]
    failure: str = ""
    """Why it did not get to its end; empty when it did."""


async def run_drill(drill: Drill, *, data_dir: Path, say: Callable[[str], None]) -> Outcome:
    """Run one drill and return what was seen; nothing of it is left, whatever happens."""
    directory = Path(tempfile.mkdtemp(prefix="flightdeck-drill-"))
    try:
        monitoring = Monitoring(directory, drill=drill.name)
        timeline = Timeline(monitoring.prometheus_url, monitoring.receiver_url)
        failure = ""
        try:
            await _run(drill, monitoring, timeline, data_dir=data_dir, say=say)
        except DrillError as error:
            failure = str(error)
        return _outcome(drill, timeline, failure)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


async def _run(
    drill: Drill, monitoring: Monitoring, timeline: Timeline, *, data_dir: Path, say: Callable[[str], None]
) -> None:
    async with AsyncExitStack() as stack:
        scene = Scene(monitoring.directory, data_dir, monitoring=monitoring, settings=drill.settings)
        monitoring.prepare()
        stack.push_async_callback(scene.stop)
        if drill.prepare is not None:
            await stack.enter_async_context(drill.prepare(scene))
        await scene.start(writes=drill.writes)
        stack.push_async_callback(monitoring.stop)
        await monitoring.start()
        watching = asyncio.create_task(timeline.watch())
        stack.push_async_callback(_cancelled, watching)
        await stack.enter_async_context(scene.traffic())
        await _calm(timeline, drill)
        say(f"all is well; now: {drill.breaks}")
        async with AsyncExitStack() as broken:
            timeline.note("fault")
            await broken.enter_async_context(drill.fault(scene))
            for alert in drill.alerts:
                await timeline.wait_for("delivered", alert, within_s=drill.fires_within_s)
                say(f"{alert} arrived")
            timeline.note("repair")
        say("repaired")
        for alert in drill.alerts:
            await timeline.wait_for("delivered as resolved", alert, within_s=drill.resolves_within_s)
            say(f"{alert} is over")


async def _calm(timeline: Timeline, drill: Drill) -> None:
    """Wait until the way to the receiver works and none of the drill's alerts has been active for a while."""
    await timeline.wait_until(
        lambda: timeline.heartbeat_at_s is not None, "a heartbeat at the receiver", within_s=CALM_WITHIN_S
    )

    def calm() -> bool:
        return timeline.quiet_for_s(drill.alerts) >= drill.warm_s

    await timeline.wait_until(
        calm, f"{drill.warm_s:.0f} s without {' or '.join(drill.alerts)}", within_s=CALM_WITHIN_S + drill.warm_s
    )


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def _outcome(drill: Drill, timeline: Timeline, failure: str) -> Outcome:
    fault, repair = timeline.at_s("fault"), timeline.at_s("repair")

    def since(start: float | None, what: str, alert: str) -> float | None:
        at_s = timeline.at_s(what, alert)
        return None if at_s is None or start is None else at_s - start

    times = tuple(
        AlertTimes(
            alert=alert,
            pending_s=since(fault, "pending", alert),
            firing_s=since(fault, "firing", alert),
            delivered_s=since(fault, "delivered", alert),
            resolved_s=since(repair, "resolved", alert),
            delivered_resolved_s=since(repair, "delivered as resolved", alert),
            notification=timeline.received.get(alert, {}),
        )
        for alert in drill.alerts
    )
    events = tuple(replace(event, at_s=event.at_s - (fault or 0.0)) for event in timeline.events)
    fired = dict.fromkeys(event.alert for event in events if event.what == "firing" and event.at_s >= 0)
    also = tuple(alert for alert in fired if alert not in drill.alerts)
    return Outcome(drill=drill.name, breaks=drill.breaks, alerts=times, events=events, also_fired=also, failure=failure)
