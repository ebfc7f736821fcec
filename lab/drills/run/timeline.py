"""What was seen of one drill's alerts, and when: in Prometheus, and at the receiver."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any


def key(labels: Mapping[str, str]) -> str:
    """Return the alert's name, with its window where several windows share one."""
    return f"{labels['alertname']} {labels.get('window', '')}".strip()


@dataclass(frozen=True)
class Event:
    """One thing that happened, in seconds since the drill's clock began."""

    at_s: float
    what: str
    alert: str = ""


@dataclass
class Timeline:
    """The events of one drill, in order: of the alerts on its arm, and those it waits for that name no arm."""

    arm: str
    alerts: Collection[str]
    is_of_arm: bool = False
    """Whether each of its alerts names the arm: then one that names none is about something else."""
    events: list[Event] = field(default_factory=list)
    received: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The first notification of each alert, as the receiver got it."""
    _started: float = field(default_factory=perf_counter)
    _states: dict[str, str] = field(default_factory=dict)
    _heard: dict[str, set[str]] = field(default_factory=dict)
    """Which instances of an alert fire, as far as the receiver knows."""

    def now_s(self) -> float:
        """Return the seconds since the drill's clock began."""
        return perf_counter() - self._started

    def note(self, what: str, alert: str = "") -> None:
        """Add an event that happens now."""
        self.events.append(Event(self.now_s(), what, alert))

    def at_s(self, what: str, alert: str = "", *, since_s: float = 0.0) -> float | None:
        """Return when something was first seen since a moment, or None."""
        return next(
            (one.at_s for one in self.events if (one.what, one.alert) == (what, alert) and one.at_s >= since_s), None
        )

    def quiet_for_s(self) -> float:
        """Return for how long none of the drill's alerts has been pending or firing."""
        if any(self._states.get(alert, "inactive") != "inactive" for alert in self.alerts):
            return 0.0
        return self.now_s() - max((event.at_s for event in self.events if event.alert in self.alerts), default=0.0)

    def is_over(self, alert: str) -> bool:
        """Whether the alert is not active, and the receiver does not think so either."""
        return self.is_resolved(alert) and not self._heard.get(alert)

    def is_resolved(self, alert: str) -> bool:
        """Whether the alert is not active in Prometheus."""
        return self._states.get(alert, "inactive") == "inactive"

    def saw_alerts(self, alerts: Sequence[Mapping[str, Any]]) -> None:
        """Note what changed since the last look at Prometheus; of several instances the firing one counts."""
        now: dict[str, str] = {}
        for alert in alerts:
            name = key(alert["labels"])
            if self._concerns(alert["labels"]) and now.get(name) != "firing":
                now[name] = alert["state"]
        for name in self._states.keys() | now.keys():
            state, before = now.get(name, "inactive"), self._states.get(name, "inactive")
            self._states[name] = state
            if state != before:
                # An alert that only was pending did not resolve: it thought better of it.
                self.note("resolved" if (before, state) == ("firing", "inactive") else state, name)

    def saw_notifications(self, alerts: Sequence[Mapping[str, Any]]) -> None:
        """Note what arrived at the receiver since the last look, in order."""
        for alert in alerts:
            if not self._concerns(alert["labels"]):
                continue
            name = key(alert["labels"])
            firing = self._heard.setdefault(name, set())
            was_firing = bool(firing)
            instance = str(sorted(alert["labels"].items()))
            (firing.add if alert["status"] == "firing" else firing.discard)(instance)
            self.received.setdefault(name, dict(alert))
            if bool(firing) != was_firing:
                self.note("delivered" if firing else "delivered as resolved", name)

    def _concerns(self, labels: Mapping[str, str]) -> bool:
        if "arm" in labels:
            return labels["arm"] == self.arm
        return not self.is_of_arm and key(labels) in self.alerts
