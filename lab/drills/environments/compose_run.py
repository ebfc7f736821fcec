"""Drills on the running compose stack: its own Prometheus, Alertmanager and receiver show what a fault does."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, Final

import httpx

from lab.drills.compose_catalogue import ComposeDrill
from lab.drills.environments.compose import Compose
from lab.drills.run.errors import DrillError, StackNotUp
from lab.drills.run.observe import Say, observe
from lab.drills.run.outcome import Outcome, Seen, outcome_of
from lab.drills.run.timeline import Timeline
from lab.drills.run.traffic import traffic
from lab.drills.run.watch import Watch

HEARTBEAT_WITHIN_S: Final = 180.0
LONGEST_S: Final = 2100.0
"""On the real clock, of the alerts here: a quarter of an hour looked back upon, waits, and a repetition every 5 min."""
GROUPED_S: Final = 420.0
"""What Alertmanager holds back on the real clock; on any, time for a busy machine to stop and start containers."""
NEW_YEAR: Final = date(2013, 1, 1)
UNHEARD_OF: Final = tuple(
    path
    for day in range(365)
    for airport in ("JFK", "LGA", "EWR")
    for path in (
        f"/airports/{airport}/departures?date={NEW_YEAR + timedelta(days=day)}",
        f"/weather/{airport}?at={NEW_YEAR + timedelta(days=day)}T12:00:00Z",
    )
)
"""What the edge has no answers to, and nobody asked before: it reaches the caches and the upstream."""
PAUSE_S: Final = 0.2
"""The stack's own traffic is too light for windows of seconds; the windows of a real clock need no more of it."""
CLOCK: Final = "ServiceDown"
"""The alert by whose wait, a minute on the real clock, the clock is told."""


async def run_on_compose(drills: Sequence[ComposeDrill], seen: Seen, *, say: Say) -> None:
    """Run the drills one after the other; raise `DrillError` when there is no stack to run them on."""
    compose = Compose()
    await compose.check()
    for service in ("prometheus", "receiver"):
        await compose.need(service)
    prometheus_url, receiver_url = await compose.url("prometheus", 9090), await compose.url("receiver", 9095)
    speed = await _speed(prometheus_url)
    patience_s = GROUPED_S + LONGEST_S / speed
    watch = Watch(prometheus_url, receiver_url)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(watch.running())
        if speed > 1:
            url = await compose.url("edge", 8080)
            await stack.enter_async_context(traffic(lambda: url, UNHEARD_OF, clients=2, pause_s=PAUSE_S))
        await watch.heartbeat(within_s=HEARTBEAT_WITHIN_S)
        for drill in drills:
            patient = replace(drill, fires_within_s=patience_s, resolves_within_s=patience_s)
            seen(await _one(patient, compose, watch, say))


async def _one(drill: ComposeDrill, compose: Compose, watch: Watch, say: Say) -> Outcome:
    def told(text: str) -> None:
        say(f"{drill.name}: {text}")

    timeline = Timeline(arm=drill.arm, alerts=drill.alerts, is_of_arm=drill.names_arm)
    failure = ""
    try:
        await compose.need(drill.service)
        async with watch.told(timeline):
            await observe(drill, compose.broken(drill.service, drill.how), timeline, watch=watch, say=told)
    except DrillError as error:
        failure = str(error)
        told(f"failed: {failure.splitlines()[0]}")
    return outcome_of(drill, timeline, failure)


async def _speed(prometheus_url: str) -> float:
    """Return how fast the rules' time runs."""
    try:
        async with httpx.AsyncClient(timeout=10.0) as client:
            answer = (await client.get(f"{prometheus_url}/api/v1/rules?type=alert")).raise_for_status().json()
    except httpx.HTTPError as error:
        raise StackNotUp("prometheus", f"does not answer at {prometheus_url}") from error
    rules: list[dict[str, Any]] = [rule for group in answer["data"]["groups"] for rule in group["rules"]]
    wait_s = next((float(rule["duration"]) for rule in rules if rule["name"] == CLOCK), 60.0)
    return 60.0 / max(wait_s, 1.0)
