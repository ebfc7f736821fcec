"""What a drill showed: of each alert, how long it took."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from lab.drills.run.drill import Expectation
from lab.drills.run.timeline import Event, Timeline


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


Seen = Callable[[Outcome], None]
"""What is done with each outcome as soon as there is one."""


def outcome_of(drill: Expectation, timeline: Timeline, failure: str) -> Outcome:
    """Return what the timeline holds of the drill's alerts; `failure` says why it did not get to its end."""
    fault, repair = timeline.at_s("fault"), timeline.at_s("repair")

    def since(start_s: float | None, what: str, alert: str) -> float | None:
        at_s = timeline.at_s(what, alert, since_s=start_s) if start_s is not None else None
        return None if at_s is None or start_s is None else at_s - start_s

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
