"""The eyes of the drills: one look at Prometheus and at the receiver serves every drill that runs."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import httpx

from lab.drills.run.errors import NotSeen
from lab.drills.run.timeline import Event, Timeline

POLL_S: Final = 0.2
LAST_SEEN: Final = 8
"""Events that are told where something was not seen."""


class Watch:
    """Looks again and again while its block runs; a look that fails is repeated."""

    def __init__(self, prometheus_url: str, receiver_url: str) -> None:
        self.heartbeat_age_s: float | None = None
        self._prometheus_url = prometheus_url
        self._receiver_url = receiver_url
        self._timelines: list[Timeline] = []
        self._last_arrival = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Return a block during which it looks."""
        looking = asyncio.create_task(self._look_again_and_again())
        try:
            yield
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    @asynccontextmanager
    async def told(self, timeline: Timeline) -> AsyncIterator[None]:
        """Return a block during which the timeline is told what is seen."""
        self._timelines.append(timeline)
        try:
            yield
        finally:
            self._timelines.remove(timeline)

    async def heartbeat(self, *, within_s: float) -> None:
        """Wait until the way to the receiver works; raise `NotSeen` otherwise."""
        await _until(lambda: self.heartbeat_age_s is not None, "a heartbeat at the receiver", [], within_s=within_s)

    async def until(self, seen: Callable[[], bool], what: str, timeline: Timeline, *, within_s: float) -> None:
        """Wait until `seen` says so; raise `NotSeen`, with what the timeline holds, otherwise."""
        await _until(seen, what, timeline.events, within_s=within_s)

    async def _look_again_and_again(self) -> None:
        async with httpx.AsyncClient(timeout=5.0) as client:
            while True:
                with suppress(httpx.HTTPError):
                    answer = await client.get(f"{self._prometheus_url}/api/v1/alerts")
                    self._saw_alerts(answer.raise_for_status().json())
                with suppress(httpx.HTTPError):
                    answer = await client.get(f"{self._receiver_url}/notifications")
                    self._saw_notifications(answer.raise_for_status().json())
                await asyncio.sleep(POLL_S)

    def _saw_alerts(self, answer: dict[str, Any]) -> None:
        for timeline in self._timelines:
            timeline.saw_alerts(answer["data"]["alerts"])

    def _saw_notifications(self, answer: dict[str, Any]) -> None:
        self.heartbeat_age_s = answer["heartbeat_age_s"]
        new = [arrival for arrival in answer["arrivals"] if arrival["at"] > self._last_arrival]
        if new:
            self._last_arrival = max(arrival["at"] for arrival in new)
            for timeline in self._timelines:
                timeline.saw_notifications([alert for arrival in new for alert in arrival["alerts"]])


async def _until(seen: Callable[[], bool], what: str, events: Sequence[Event], *, within_s: float) -> None:
    try:
        async with asyncio.timeout(within_s):
            while not seen():  # noqa: ASYNC110 what is waited for is in other processes
                await asyncio.sleep(POLL_S / 2)
    except TimeoutError:
        said = ", ".join(f"{event.alert} {event.what}".strip() for event in events[-LAST_SEEN:])
        raise NotSeen(what, waited_s=within_s, seen=said) from None
