"""Runs drills on servers of their own: all under one Prometheus, several at a time."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Sequence
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
from lab.drills.run.observe import Log, observe
from lab.drills.run.outcome import OnOutcome, Outcome, outcome_of
from lab.drills.run.parallel import run_parallel
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
            def log_of_drill(text: str) -> None:
                log(f"{drill.name}: {text}")

            log_of_drill("starting")
            on_outcome(await _run_drill(drill, data_dir, monitoring, poller, log_of_drill))

        await run_parallel(drills, run, limit=limit)


async def _run_drill(drill: Drill, data_dir: Path, monitoring: Monitoring, poller: AlertPoller, log: Log) -> Outcome:
    """Run one drill, then stop its processes and delete its files."""
    timeline = Timeline(arm=drill.name, alerts=drill.alerts)
    failure = ""
    try:
        async with AsyncExitStack() as stack:
            context = DrillContext(drill.name, data_dir, monitoring=monitoring, settings=drill.settings)
            stack.push_async_callback(asyncio.to_thread, shutil.rmtree, context.directory, ignore_errors=True)
            stack.push_async_callback(context.stop)
            await context.open(writes=drill.writes)
            if drill.prepare is not None:
                await stack.enter_async_context(drill.prepare(context))
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
