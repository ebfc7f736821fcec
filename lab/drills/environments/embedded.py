"""Runs drills on servers of their own: all under one Prometheus, several at a time."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import httpx
import psutil

from lab.drills.environments.monitoring import Monitoring
from lab.drills.run.alert_poller import AlertPoller
from lab.drills.run.context import DrillContext
from lab.drills.run.drill import Drill
from lab.drills.run.errors import DrillError
from lab.drills.run.observe import Log, drill_log, observe
from lab.drills.run.outcome import OnOutcome, Outcome, outcome_of
from lab.drills.run.timeline import Timeline

HEARTBEAT_WITHIN_S: Final = 120.0
DIRECTORY_PREFIX: Final = "flightdeck-drill-"
EXPECTED_ERRORS: Final = (DrillError, OSError, httpx.HTTPError, psutil.Error)
"""What an injected fault can cause; any other error is a bug of the drill."""


def default_parallel() -> int:
    """Return how many drills run in parallel: two per CPU core, since a drill waits most of the time."""
    return max(1, 2 * len(os.sched_getaffinity(0)))


async def run_embedded(drills: Sequence[Drill], on_outcome: OnOutcome, *, data_dir: Path, limit: int, log: Log) -> None:
    """Run at most `limit` drills at a time; raise `DrillError` if Prometheus or Alertmanager is not installed."""
    directory = Path(tempfile.mkdtemp(prefix=DIRECTORY_PREFIX))
    async with AsyncExitStack() as stack:
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        monitoring = Monitoring(directory, drill=drills[0].name if len(drills) == 1 else "several")
        monitoring.write_configuration()
        stack.push_async_callback(monitoring.stop)
        await monitoring.start()
        poller = AlertPoller(monitoring.prometheus_url, monitoring.receiver_url)
        await stack.enter_async_context(poller.running())
        await poller.wait_for_heartbeat(within_s=HEARTBEAT_WITHIN_S)

        async def run(drill: Drill) -> None:
            on_outcome(await _run_drill(drill, data_dir, monitoring, poller, drill_log(drill, log)))

        await run_parallel(drills, run, limit=limit)


async def run_parallel(
    drills: Sequence[Drill], run: Callable[[Drill], Coroutine[None, None, None]], *, limit: int
) -> None:
    """Run at most `limit` drills at a time, never two that need the same resource; then those that run alone."""
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


async def _run_drill(drill: Drill, data_dir: Path, monitoring: Monitoring, poller: AlertPoller, log: Log) -> Outcome:
    """Run one drill, then stop its processes and delete its files."""
    log("starting")
    timeline = Timeline(arm=drill.name, alerts=drill.alerts)
    failure = ""
    try:
        async with AsyncExitStack() as stack:
            context = DrillContext(drill.name, data_dir, monitoring=monitoring, settings=drill.settings)
            stack.push_async_callback(asyncio.to_thread, shutil.rmtree, context.directory, ignore_errors=True)
            stack.push_async_callback(context.stop)
            await context.open(writes=drill.writes)
            if drill.prepare is not None:
                await drill.prepare(context)
            await context.start()
            await stack.enter_async_context(poller.subscribe(timeline))
            await stack.enter_async_context(context.traffic())
            await observe(drill, drill.fault(context), timeline, poller=poller, log=log)
    except EXPECTED_ERRORS as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError from error  # an error during the cleanup must not hide the cancellation
        failure = str(error) or repr(error)
        log(f"failed: {failure.splitlines()[0]}")
    return outcome_of(drill, timeline, failure)
