"""Drills on any service that runs with its kit, observed by its own Prometheus.

Either a proxy is the fault, and nothing is needed in the service: what fails is what it reaches, or is reached, through
the proxy. Or the service injects the fault itself, by its debug endpoint.
"""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, replace
from typing import Final, Protocol

import httpx

from lab.drills.run.alert_poller import AlertPoller
from lab.drills.run.drill import BaseDrill
from lab.drills.run.errors import DrillError
from lab.drills.run.observe import Log, drill_log, observe
from lab.drills.run.outcome import Outcome, outcome_of
from lab.drills.run.speed import alert_durations_s, speed, timeout_s
from lab.drills.run.timeline import Timeline
from lab.drills.run.traffic import traffic
from observability.faults.fault import EVENT_LOOP, POOL, PREFIX
from prometheus.slo import Objectives

HEARTBEAT_WITHIN_S: Final = 180.0
PAUSE_S: Final = 0.2


class ServiceFault(Protocol):
    def running(self) -> AbstractAsyncContextManager[None]:
        """Return the block in which the drill runs; raise `DrillError` if the fault cannot be injected."""

    def injected(self) -> AbstractAsyncContextManager[None]:
        """Return the block during which the fault lasts."""


@dataclass(frozen=True, kw_only=True)
class ServiceDrill(BaseDrill):
    warmup_s: float = 3.0
    """The service has run before."""


@dataclass(frozen=True, kw_only=True)
class ProxyDrill(ServiceDrill):
    """A fault by a proxy that refuses connections."""

    proxied: str
    """What the proxy is in front of."""


@dataclass(frozen=True, kw_only=True)
class DebugDrill(ServiceDrill):
    """A fault that the service injects itself, again and again."""

    fault: str
    """As the debug endpoint names it."""
    seconds: float
    pause_s: float
    """Between two requests; while a fault lasts, another one has no effect."""


SERVICE_DRILLS: Final[dict[str, ProxyDrill | DebugDrill]] = {
    drill.name: drill
    for drill in (
        ProxyDrill(
            name="service-down",
            description="the only target of the service cannot be scraped",
            proxied="the metrics of the service, for Prometheus",
            alerts=("ServiceDown",),
        ),
        ProxyDrill(
            name="target-down",
            description="one of several targets of the service cannot be scraped",
            proxied="the metrics of one process, for Prometheus",
            alerts=("TargetDown",),
        ),
        ProxyDrill(
            name="error-burst",
            description="a server that requests need refuses connections",
            proxied="a database or an upstream, for the service",
            alerts=("AvailabilityBudgetBurn 1h",),
        ),
        ProxyDrill(
            name="collector-down",
            description="the OpenTelemetry Collector refuses connections",
            proxied="the collector's port for OTLP, for the service",
            alerts=("TelemetryDropped",),
        ),
        DebugDrill(
            name="loop-blocked",
            description="the event loop is blocked for a second of every two",
            fault=EVENT_LOOP,
            seconds=1.0,
            pause_s=2.0,
            alerts=("EventLoopBlocked",),
        ),
        DebugDrill(
            name="pool-exhausted",
            description="every connection of the pools is held",
            fault=POOL,
            seconds=60.0,
            pause_s=1.0,
            alerts=("PoolExhausted",),
            notification_names=PREFIX + POOL,
        ),
    )
}


@dataclass(frozen=True, kw_only=True)
class Observed:
    """The servers that observe the service, and the requests that it gets."""

    prometheus: str
    receiver: str | None = None
    """Without it an alert counts when it fires, not when it is delivered."""
    requests: Sequence[str] = ()
    """URLs that are requested in a cycle while the drill runs, beside the traffic of the service."""


async def run_on_service(
    drill: ServiceDrill, objectives: Objectives, *, fault: ServiceFault, observed: Observed, log: Log
) -> Outcome:
    """Run the drill; raise `DrillError` if Prometheus does not have its alerts."""
    drill = await _for_service(drill, objectives, observed)
    timeline = Timeline(arm="", alerts=drill.alerts)
    poller = AlertPoller(observed.prometheus, observed.receiver or "")
    failure = ""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(fault.running())
        await stack.enter_async_context(poller.running())
        try:
            if drill.is_delivered:
                await poller.wait_for_heartbeat(within_s=HEARTBEAT_WITHIN_S)
            await stack.enter_async_context(poller.subscribe(timeline))
            if observed.requests:
                urls = tuple(observed.requests)
                await stack.enter_async_context(traffic(lambda: "", urls, clients=1, pause_s=PAUSE_S))
            await observe(drill, fault.injected(), timeline, poller=poller, log=drill_log(drill, log))
        except DrillError as error:
            failure = str(error)
    return outcome_of(drill, timeline, failure)


async def _for_service(drill: ServiceDrill, objectives: Objectives, observed: Observed) -> ServiceDrill:
    """Return the drill with the names of the service's alerts, and with time for the rules that are loaded."""
    try:
        durations_s = await alert_durations_s(observed.prometheus)
    except (httpx.HTTPError, ValueError, KeyError) as error:
        raise DrillError(f"{observed.prometheus} does not respond like Prometheus: {error}") from error
    prefix = objectives.alert_prefix
    alerts = tuple(prefix + alert for alert in drill.alerts)
    for alert in alerts:
        if alert.split(maxsplit=1)[0] not in durations_s:
            raise DrillError(
                f"Prometheus has not loaded the alert {alert}: add the kit to rule_files, or the part of this alert to "
                "parts in slo.toml"
            )
    within_s = timeout_s(speed(durations_s, alert_prefix=prefix))
    return replace(
        drill,
        alerts=alerts,
        is_delivered=observed.receiver is not None,
        notification_names=drill.notification_names if observed.receiver else "",
        fires_within_s=within_s,
        resolves_within_s=within_s,
    )
