"""What was seen, and when: alerts in Prometheus, notifications at the receiver."""

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Final

import httpx

from lab.drills.errors import NotSeen

POLL_S: Final = 0.2
QUIET: Final = ("Heartbeat",)


def key(labels: dict[str, str]) -> str:
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
    """The events of a drill; `watch` fills it while the drill runs."""

    prometheus_url: str
    receiver_url: str
    events: list[Event] = field(default_factory=list)
    received: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The first notification of each alert, as the receiver got it."""
    heartbeat_at_s: float | None = None
    _started: float = field(default_factory=perf_counter)
    _states: dict[str, str] = field(default_factory=dict)
    _arrived: set[tuple[str, str]] = field(default_factory=set)

    def note(self, what: str, alert: str = "") -> None:
        """Add an event that happens now."""
        self.events.append(Event(perf_counter() - self._started, what, alert))

    def at_s(self, what: str, alert: str = "") -> float | None:
        """Return when something was first seen, or None."""
        return next((event.at_s for event in self.events if (event.what, event.alert) == (what, alert)), None)

    def quiet_for_s(self, alerts: Collection[str]) -> float:
        """Return for how long none of these alerts has been pending or firing, at most since the heartbeat."""
        if any(self._states.get(alert, "inactive") != "inactive" for alert in alerts):
            return 0.0
        last = max((event.at_s for event in self.events if event.alert in alerts), default=0.0)
        return perf_counter() - self._started - max(last, self.heartbeat_at_s or 0.0)

    async def watch(self) -> None:
        """Look at Prometheus and at the receiver until cancelled; a look that fails is repeated."""
        async with httpx.AsyncClient(timeout=2.0) as client:
            while True:
                with suppress(httpx.HTTPError):
                    self._look_at_alerts((await client.get(f"{self.prometheus_url}/api/v1/alerts")).json())
                with suppress(httpx.HTTPError):
                    self._look_at_notifications((await client.get(f"{self.receiver_url}/notifications")).json())
                await asyncio.sleep(POLL_S)

    async def wait_for(self, what: str, alert: str, *, within_s: float) -> None:
        """Wait until the alert has done this; raise `NotSeen` otherwise."""
        await self.wait_until(lambda: self.at_s(what, alert) is not None, f"{alert} {what}", within_s=within_s)

    async def wait_until(self, seen: Callable[[], bool], what: str, *, within_s: float) -> None:
        """Wait until `seen` says so; raise `NotSeen` otherwise."""
        try:
            async with asyncio.timeout(within_s):
                while not seen():  # noqa: ASYNC110 what is waited for is in other processes
                    await asyncio.sleep(POLL_S / 2)
        except TimeoutError:
            said = ", ".join(f"{event.alert} {event.what}".strip() for event in self.events[-8:])
            raise NotSeen(what, waited_s=within_s, seen=said) from None

    def _look_at_alerts(self, answer: dict[str, Any]) -> None:
        now: dict[str, str] = {}
        for alert in answer["data"]["alerts"]:
            name = key(alert["labels"])
            if now.get(name) != "firing":
                now[name] = alert["state"]
        for name in self._states.keys() | now.keys():
            state, before = now.get(name, "inactive"), self._states.get(name, "inactive")
            self._states[name] = state
            if state != before and name not in QUIET:
                # An alert that only was pending did not resolve: it thought better of it.
                self.note("resolved" if (before, state) == ("firing", "inactive") else state, name)
        for name in QUIET:
            self._states.pop(name, None)

    def _look_at_notifications(self, answer: dict[str, Any]) -> None:
        if self.heartbeat_at_s is None and answer["heartbeat_age_s"] is not None:
            self.heartbeat_at_s = perf_counter() - self._started
        for arrival in answer["arrivals"]:
            for alert in arrival["alerts"]:
                name, status = key(alert["labels"]), alert["status"]
                if name not in QUIET and (name, status) not in self._arrived:
                    self._arrived.add((name, status))
                    self.received.setdefault(name, alert)
                    self.note("delivered" if status == "firing" else "delivered as resolved", name)
