"""Polls Prometheus and the receiver for every drill that runs."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import httpx

from lab.drills.run.errors import ObservationTimeout
from lab.drills.run.timeline import Event, Timeline
from lab.drills.run.traffic import in_background

POLL_S: Final = 0.2
LAST_EVENTS: Final = 8
"""Events that an `ObservationTimeout` shows."""


class AlertPoller:
    """Delivers what Prometheus and the receiver return to the subscribed timelines; a poll that fails is repeated."""

    def __init__(self, prometheus_url: str, receiver_url: str) -> None:
        self.heartbeat_age_s: float | None = None
        self._prometheus_url = prometheus_url
        self._receiver_url = receiver_url
        self._timelines: list[Timeline] = []
        self._last_received_at = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with in_background([self._poll()]):
            yield

    @asynccontextmanager
    async def subscribe(self, timeline: Timeline) -> AsyncIterator[None]:
        """Return a block during which the timeline records alerts and notifications."""
        self._timelines.append(timeline)
        try:
            yield
        finally:
            self._timelines.remove(timeline)

    async def wait_for_heartbeat(self, *, within_s: float) -> None:
        """Wait until Prometheus delivers alerts to the receiver; raise `ObservationTimeout` otherwise."""
        await _wait_until(lambda: self.heartbeat_age_s is not None, "a heartbeat at the receiver", [], within_s)

    async def wait_until(self, is_seen: Callable[[], bool], what: str, timeline: Timeline, *, within_s: float) -> None:
        """Wait until `is_seen` returns true; raise `ObservationTimeout` with the last events otherwise."""
        await _wait_until(is_seen, what, timeline.events, within_s)

    async def _poll(self) -> None:
        async with httpx.AsyncClient(timeout=5.0) as client:
            while True:
                with suppress(httpx.HTTPError):
                    response = await client.get(f"{self._prometheus_url}/api/v1/alerts")
                    self._record_alerts(response.raise_for_status().json())
                with suppress(httpx.HTTPError):
                    response = await client.get(f"{self._receiver_url}/notifications")
                    self._record_notifications(response.raise_for_status().json())
                await asyncio.sleep(POLL_S)

    def _record_alerts(self, body: dict[str, Any]) -> None:
        for timeline in self._timelines:
            timeline.record_alerts(body["data"]["alerts"])

    def _record_notifications(self, body: dict[str, Any]) -> None:
        self.heartbeat_age_s = body["heartbeat_age_s"]
        new = [one for one in body["notifications"] if one["received_at"] > self._last_received_at]
        if new:
            self._last_received_at = max(one["received_at"] for one in new)
            for timeline in self._timelines:
                timeline.record_notifications([alert for one in new for alert in one["alerts"]])


async def _wait_until(is_seen: Callable[[], bool], what: str, events: Sequence[Event], within_s: float) -> None:
    try:
        async with asyncio.timeout(within_s):
            while not is_seen():  # noqa: ASYNC110 the state is in other processes
                await asyncio.sleep(POLL_S / 2)
    except TimeoutError:
        seen = ", ".join(map(str, events[-LAST_EVENTS:]))
        raise ObservationTimeout(what, waited_s=within_s, seen=seen) from None
