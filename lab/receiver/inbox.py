"""What arrived: the last notifications, what still fires, and when the heartbeat was heard."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from lab.receiver.notification import Notification, ReceivedAlert

CAPACITY: Final = 500
"""Notifications that are kept; a receiver that runs for months does not grow."""

HEARTBEAT: Final = "heartbeat"


@dataclass(frozen=True)
class Arrival:
    """A notification and when and where it arrived."""

    at: datetime
    receiver: str
    notification: Notification


class Inbox:
    """Arrivals in order, oldest dropped first; heartbeats are only remembered by their time."""

    def __init__(self, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self.arrivals: deque[Arrival] = deque(maxlen=CAPACITY)
        self.heartbeat_at: datetime | None = None

    def receive(self, receiver: str, notification: Notification) -> None:
        """Keep a notification."""
        if receiver == HEARTBEAT:
            self.heartbeat_at = self._now()
            return
        self.arrivals.append(Arrival(self._now(), receiver, notification))

    def firing(self) -> list[ReceivedAlert]:
        """Return the alerts whose last notification said that they fire, pages first, the newest of each first."""
        last: dict[str, ReceivedAlert] = {}
        for arrival in self.arrivals:
            for alert in arrival.notification.alerts:
                last.pop(key := alert.fingerprint or str(sorted(alert.labels.items())), None)
                last[key] = alert
        firing = [alert for alert in reversed(last.values()) if alert.status == "firing"]
        return sorted(firing, key=lambda alert: alert.labels.get("severity") != "page")

    def heartbeat_age_s(self) -> float | None:
        """Return the seconds since the last heartbeat, or None before the first."""
        return None if self.heartbeat_at is None else (self._now() - self.heartbeat_at).total_seconds()
