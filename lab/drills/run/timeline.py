"""The timeline of one drill's alerts: in Prometheus, and at the receiver."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Literal

AlertState = Literal["inactive", "pending", "firing"]
EventKind = AlertState | Literal["fault injected", "fault ended", "resolved", "delivered", "resolution delivered"]


def alert_key(labels: Mapping[str, str]) -> str:
    """Return the alert's name, with its window where an alert has several."""
    return f"{labels['alertname']} {labels.get('window', '')}".strip()


@dataclass(frozen=True)
class Event:
    at_s: float
    """Seconds since the timeline began."""
    kind: EventKind
    alert: str = ""

    def __str__(self) -> str:
        return f"{self.alert} {self.kind}".strip()


@dataclass
class Timeline:
    """The events of one drill: of every alert with its arm, and of its own alerts that have no arm."""

    arm: str
    """Empty for a service without arms: then an alert is the drill's by its name."""
    alerts: Collection[str]
    require_arm: bool = False
    """Ignore alerts without the label `arm`."""
    events: list[Event] = field(default_factory=list)
    notifications: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The first notification of each alert, as the receiver got it."""
    _started: float = field(default_factory=perf_counter)
    _states: dict[str, AlertState] = field(default_factory=dict)
    _delivered: dict[str, set[str]] = field(default_factory=dict)
    """The firing instances of each alert, according to the notifications."""

    def now_s(self) -> float:
        return perf_counter() - self._started

    def add(self, kind: EventKind, alert: str = "") -> None:
        self.events.append(Event(self.now_s(), kind, alert))

    def first_s(self, kind: EventKind, alert: str = "", *, since_s: float = 0.0) -> float | None:
        """Return when the first such event since a moment was seen, or None."""
        return next(
            (one.at_s for one in self.events if (one.kind, one.alert) == (kind, alert) and one.at_s >= since_s), None
        )

    def inactive_for_s(self, *, since_s: float = 0.0) -> float:
        """Return for how long, since a moment, none of the drill's alerts has been pending or firing."""
        if not all(map(self.is_resolved, self.alerts)):
            return 0.0
        return self.now_s() - max([since_s, *(event.at_s for event in self.events if event.alert in self.alerts)])

    def is_resolved(self, alert: str) -> bool:
        """Whether the alert is inactive in Prometheus."""
        return self._states.get(alert, "inactive") == "inactive"

    def is_resolution_delivered(self, alert: str) -> bool:
        """Whether the alert is inactive both in Prometheus and according to the notifications."""
        return self.is_resolved(alert) and not self._delivered.get(alert)

    def record_alerts(self, alerts: Sequence[Mapping[str, Any]]) -> None:
        """Add what changed since the last poll of Prometheus; an alert fires if any instance does."""
        now: dict[str, AlertState] = {}
        for alert in alerts:
            name = alert_key(alert["labels"])
            if self._concerns(alert["labels"]) and now.get(name) != "firing":
                now[name] = alert["state"]
        for name in self._states.keys() | now.keys():
            state, before = now.get(name, "inactive"), self._states.get(name, "inactive")
            self._states[name] = state
            if state != before:
                # Prometheus has no resolved state: an alert that fired becomes inactive, as one that was only pending.
                self.add("resolved" if (before, state) == ("firing", "inactive") else state, name)

    def record_notifications(self, alerts: Sequence[Mapping[str, Any]]) -> None:
        """Add what the receiver got since the last poll, in order."""
        for alert in alerts:
            if not self._concerns(alert["labels"]):
                continue
            name = alert_key(alert["labels"])
            firing = self._delivered.setdefault(name, set())
            was_firing = bool(firing)
            instance = str(sorted(alert["labels"].items()))
            (firing.add if alert["status"] == "firing" else firing.discard)(instance)
            self.notifications.setdefault(name, dict(alert))
            if bool(firing) != was_firing:
                self.add("delivered" if firing else "resolution delivered", name)

    def _concerns(self, labels: Mapping[str, str]) -> bool:
        if self.arm and "arm" in labels:
            return labels["arm"] == self.arm
        return not self.require_arm and alert_key(labels) in self.alerts
