"""The outcome of a drill: how long each alert took."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from lab.drills.run.drill import BaseDrill
from lab.drills.run.timeline import Event, EventKind, Timeline


@dataclass(frozen=True, kw_only=True)
class AlertTimes:
    """The first three in seconds since the fault was injected, the others since it was ended."""

    alert: str
    pending_s: float | None
    firing_s: float | None
    delivered_s: float | None
    resolved_s: float | None
    resolution_delivered_s: float | None
    notification: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    drill: str
    description: str
    alerts: tuple[AlertTimes, ...]
    events: tuple[Event, ...]
    """In seconds since the fault was injected; negative before it."""
    also_fired: tuple[str, ...]
    failure: str = ""
    """Why the drill did not complete; empty if it did."""


OnOutcome = Callable[[Outcome], None]


def outcome_of(drill: BaseDrill, timeline: Timeline, failure: str) -> Outcome:
    injected_s, ended_s = timeline.first_s("fault injected"), timeline.first_s("fault ended")

    def since(start_s: float | None, kind: EventKind, alert: str) -> float | None:
        at_s = timeline.first_s(kind, alert, since_s=start_s) if start_s is not None else None
        return None if at_s is None or start_s is None else at_s - start_s

    times = tuple(
        AlertTimes(
            alert=alert,
            pending_s=since(injected_s, "pending", alert),
            firing_s=since(injected_s, "firing", alert),
            delivered_s=since(injected_s, "delivered", alert),
            resolved_s=since(ended_s, "resolved", alert),
            resolution_delivered_s=since(ended_s, "resolution delivered", alert),
            notification=timeline.notifications.get(alert, {}),
        )
        for alert in drill.alerts
    )
    events = tuple(replace(event, at_s=event.at_s - (injected_s or 0.0)) for event in timeline.events)
    fired = dict.fromkeys(event.alert for event in events if event.kind == "firing" and event.at_s >= 0)
    return Outcome(
        drill=drill.name,
        description=drill.description,
        alerts=times,
        events=events,
        also_fired=tuple(alert for alert in fired if alert not in drill.alerts),
        failure=failure,
    )
