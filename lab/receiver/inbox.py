"""The last notifications, the alerts that are firing, and the age of the last heartbeat."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from lab.receiver.notification import Alert, Notification

CAPACITY: Final = 500
"""Notifications that are kept, so that the memory of a long-running receiver is bounded."""

HEARTBEAT: Final = "heartbeat"
"""The Alertmanager receiver of the alert Watchdog, which always fires."""


@dataclass(frozen=True)
class ReceivedNotification:
    received_at: datetime
    receiver: str
    notification: Notification


class Inbox:
    """Notifications in order, oldest dropped first; of heartbeats only the last time is kept."""

    def __init__(self, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self.notifications: deque[ReceivedNotification] = deque(maxlen=CAPACITY)
        self.heartbeat_at: datetime | None = None

    def receive(self, receiver: str, notification: Notification) -> None:
        if receiver == HEARTBEAT:
            self.heartbeat_at = self._now()
            return
        self.notifications.append(ReceivedNotification(self._now(), receiver, notification))

    def firing(self) -> list[Alert]:
        """Return the alerts whose last notification was firing: critical ones first, each severity newest first."""
        last: dict[str, Alert] = {}
        for received in self.notifications:
            for alert in received.notification.alerts:
                last.pop(key := alert.fingerprint or str(sorted(alert.labels.items())), None)
                last[key] = alert
        firing = [alert for alert in reversed(last.values()) if alert.status == "firing"]
        return sorted(firing, key=lambda alert: alert.labels.get("severity") != "critical")

    def heartbeat_age_s(self) -> float | None:
        """Return the seconds since the last heartbeat, or None before the first."""
        return None if self.heartbeat_at is None else (self._now() - self.heartbeat_at).total_seconds()
