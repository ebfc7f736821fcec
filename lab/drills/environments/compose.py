"""Runs drills on the compose stack, observed by its own Prometheus, Alertmanager and receiver.

Compose finds the containers; they are stopped and started individually, because `docker compose start` would also run
what a service depends on, such as the load of the data.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, Final

import httpx

from lab.drills.run.alert_poller import AlertPoller
from lab.drills.run.drill import ComposeDrill, ContainerFault
from lab.drills.run.errors import DrillError, MissingExecutable, ProcessFailed, StackNotUp
from lab.drills.run.executable import executable_path
from lab.drills.run.observe import Log, drill_log, observe
from lab.drills.run.outcome import OnOutcome, Outcome, outcome_of
from lab.drills.run.speed import alert_durations_s, speed, timeout_s
from lab.drills.run.timeline import Timeline
from lab.drills.run.traffic import traffic

ENDS: Final[dict[ContainerFault, str]] = {"stop": "start", "pause": "unpause"}
"""The command that ends each fault."""
HEARTBEAT_WITHIN_S: Final = 180.0
NEW_YEAR: Final = date(2013, 1, 1)
UNCACHED_PATHS: Final = tuple(
    path
    for day in range(365)
    for airport in ("JFK", "LGA", "EWR")
    for path in (
        f"/airports/{airport}/departures?date={NEW_YEAR + timedelta(days=day)}",
        f"/weather/{airport}?at={NEW_YEAR + timedelta(days=day)}T12:00:00Z",
    )
)
"""Not cached at the edge, so that the requests reach the service's caches and the upstream."""
PAUSE_S: Final = 0.2
"""The stack's own traffic is enough for the windows of real-time rules, but too light for windows of seconds."""


class Compose:
    """The stack of the compose file in the current directory."""

    def __init__(self) -> None:
        self._docker = executable_path("docker", package="docker.io")

    async def check(self) -> None:
        """Raise `MissingExecutable` if docker has no `compose`."""
        try:
            await self._run("compose", "version")
        except ProcessFailed as error:
            raise MissingExecutable("docker compose", "docker-compose") from error

    async def url(self, service: str, port: int) -> str:
        """Return the URL of a published port; raise `StackNotUp` if it is not published."""
        address = (await self._run("compose", "port", service, str(port))).strip()
        if not address or address.endswith(":0"):
            raise StackNotUp(service, "publishes no port")
        return f"http://{address}"

    async def require_running(self, service: str) -> None:
        """Raise `StackNotUp` unless every container of the service is running."""
        states = [str(container["State"]) for container in await self._containers(service)] or ["not there"]
        for state in states:
            if state != "running":
                raise StackNotUp(service, f"is {state}")

    @asynccontextmanager
    async def fault(self, service: str, fault: ContainerFault) -> AsyncIterator[None]:
        """Stop or pause a service during the block; it runs again afterwards, also after an error."""
        await self.require_running(service)
        names = [str(container["Name"]) for container in await self._containers(service)]
        try:
            await self._run(fault, *names)
            yield
        finally:
            await self._run(ENDS[fault], *names)

    async def _containers(self, service: str) -> list[dict[str, Any]]:
        """Parse `docker compose ps`: a JSON array in some versions, one line per container in others."""
        text = (await self._run("compose", "ps", "--all", "--format", "json", service)).strip()
        if text.startswith("["):
            containers: list[dict[str, Any]] = json.loads(text)
            return containers
        return [json.loads(line) for line in text.splitlines()]

    async def _run(self, *arguments: str) -> str:
        """Return the standard output of a docker command; raise `ProcessFailed` if it fails."""
        process = await asyncio.create_subprocess_exec(
            self._docker,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the drill, which then ends its fault
        )
        output = asyncio.ensure_future(process.communicate())
        try:
            out, err = await asyncio.shield(output)
        except asyncio.CancelledError:
            await output  # a stop that is still running must not undo the start that follows
            raise
        if process.returncode:
            name = f"docker {' '.join(arguments)}"
            raise ProcessFailed(name, f"exited with code {process.returncode}", err.decode(errors="replace"))
        return out.decode()


async def run_on_compose(drills: Sequence[ComposeDrill], on_outcome: OnOutcome, *, log: Log) -> None:
    """Run the drills one after the other; raise `DrillError` if the stack is not running."""
    compose = Compose()
    await compose.check()
    for service in ("prometheus", "receiver"):
        await compose.require_running(service)
    prometheus_url, receiver_url = await compose.url("prometheus", 9090), await compose.url("receiver", 9095)
    times = await _speed(prometheus_url)
    within_s = timeout_s(times)
    poller = AlertPoller(prometheus_url, receiver_url)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(poller.running())
        if times > 1:
            url = await compose.url("edge", 8080)
            await stack.enter_async_context(traffic(lambda: url, UNCACHED_PATHS, clients=2, pause_s=PAUSE_S))
        await poller.wait_for_heartbeat(within_s=HEARTBEAT_WITHIN_S)
        for drill in drills:
            drill_on_stack = replace(drill, fires_within_s=within_s, resolves_within_s=within_s)
            on_outcome(await _run_drill(drill_on_stack, compose, poller, drill_log(drill, log)))


async def _run_drill(drill: ComposeDrill, compose: Compose, poller: AlertPoller, log: Log) -> Outcome:
    timeline = Timeline(arm=drill.arm, alerts=drill.alerts, require_arm=drill.require_arm)
    failure = ""
    try:
        await compose.require_running(drill.service)
        async with poller.subscribe(timeline):
            fault = compose.fault(drill.service, drill.fault)
            await observe(drill, fault, timeline, poller=poller, log=log)
    except DrillError as error:
        failure = str(error)
        log(f"failed: {failure.splitlines()[0]}")
    return outcome_of(drill, timeline, failure)


async def _speed(prometheus_url: str) -> float:
    """Return how many times faster than real time the rules of the stack are."""
    try:
        return speed(await alert_durations_s(prometheus_url))
    except httpx.HTTPError as error:
        raise StackNotUp("prometheus", f"does not respond at {prometheus_url}") from error
