"""Observes one fault: no alert, the fault, its alerts, the end of the fault, no alert again."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

from lab.drills.run.alert_poller import AlertPoller
from lab.drills.run.drill import BaseDrill
from lab.drills.run.errors import CauseNotNamed
from lab.drills.run.timeline import EventKind, Timeline

INACTIVE_WITHIN_S: Final = 120.0
"""Until the alerts are inactive and the warm-up begins."""

Log = Callable[[str], None]


def drill_log(drill: BaseDrill, log: Log) -> Log:
    return lambda text: log(f"{drill.name}: {text}")


async def observe(
    drill: BaseDrill, fault: AbstractAsyncContextManager[object], timeline: Timeline, *, poller: AlertPoller, log: Log
) -> None:
    """Inject the fault, wait until every alert is seen, end the fault, and wait until every alert is resolved.

    Raise `ObservationTimeout` if one of these takes too long, and `CauseNotNamed` if the first alert does not name its
    cause; the fault is ended in every case.
    """

    async def until(is_seen: Callable[[], bool], what: str, within_s: float) -> None:
        await poller.wait_until(is_seen, what, timeline, within_s=within_s)

    began_s = timeline.now_s()  # not the start of the timeline, before the service was started and polled
    await until(
        lambda: timeline.inactive_for_s(since_s=began_s) >= drill.warmup_s,
        f"{drill.warmup_s:.0f} s without {' and '.join(drill.alerts)}",
        INACTIVE_WITHIN_S + drill.warmup_s,
    )
    log(f"no alert is active; injecting the fault: {drill.description}")
    timeline.add("fault injected")
    injected_s = timeline.now_s()
    expected: EventKind = "delivered" if drill.is_delivered else "firing"

    def is_seen(alert: str) -> Callable[[], bool]:
        return lambda: timeline.first_s(expected, alert, since_s=injected_s) is not None

    async with fault:
        for alert in drill.alerts:
            await until(is_seen(alert), f"{alert} {expected}", drill.fires_within_s)
            log(f"{alert} {expected}")
        _check_cause(drill, timeline)
        timeline.add("fault ended")
    log("the fault is ended")

    def is_resolved(alert: str) -> Callable[[], bool]:
        resolved = timeline.is_resolution_delivered if drill.is_delivered else timeline.is_resolved
        return lambda: resolved(alert)

    for alert in drill.alerts:
        await until(is_resolved(alert), f"{alert} resolved", drill.resolves_within_s)
        log(f"{alert} resolved")


def _check_cause(drill: BaseDrill, timeline: Timeline) -> None:
    if not drill.notification_names:
        return
    alert = drill.alerts[0]
    description = timeline.notifications[alert].get("annotations", {}).get("description", "")
    if drill.notification_names not in description:
        raise CauseNotNamed(alert, cause=drill.notification_names, description=description)
