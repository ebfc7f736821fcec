"""The eyes of the drills, on a Prometheus and a receiver that say what the test wants."""

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from lab.drills.run.errors import NotSeen
from lab.drills.run.timeline import Timeline
from lab.drills.run.watch import Watch
from tests.servers.asgi import serving

pytestmark = pytest.mark.anyio


class Servers:
    """What Prometheus and the receiver say now."""

    def __init__(self) -> None:
        self.url = ""
        self.alerts: list[dict[str, Any]] = []
        self.arrivals: list[dict[str, Any]] = []
        self.prometheus_works = True

    def arrive(self, at: str, status: str) -> None:
        alert = {"labels": {"alertname": "A", "arm": "drilled"}, "status": status}
        self.arrivals = [*self.arrivals, {"at": at, "alerts": [alert]}]

    def app(self) -> Starlette:
        async def alerts(_: Request) -> JSONResponse:
            body = {"status": "success", "data": {"alerts": self.alerts}}
            return JSONResponse(body) if self.prometheus_works else JSONResponse({"status": "error"}, 503)

        async def notifications(_: Request) -> JSONResponse:
            return JSONResponse({"heartbeat_age_s": 1.0, "arrivals": self.arrivals})

        return Starlette(routes=[Route("/api/v1/alerts", alerts), Route("/notifications", notifications)])


@pytest.fixture
def servers() -> Iterator[Servers]:
    both = Servers()
    with serving(both.app()) as url:
        both.url = url
        yield both


async def test_a_drill_is_told_what_arrives_after_it_began_and_nothing_older(servers: Servers) -> None:
    servers.arrive("2026-01-01T00:00:00+00:00", "firing")
    watch, timeline = Watch(servers.url, servers.url), Timeline(arm="drilled", alerts=("A",))
    async with watch.running():
        await watch.heartbeat(within_s=5)
        async with watch.told(timeline):
            servers.alerts = [{"labels": {"alertname": "A", "arm": "drilled"}, "state": "firing"}]
            await watch.until(lambda: timeline.at_s("firing", "A") is not None, "A firing", timeline, within_s=5)
            servers.arrive("2026-01-01T00:00:05+00:00", "firing")
            await watch.until(lambda: timeline.at_s("delivered", "A") is not None, "A", timeline, within_s=5)
    assert [event.what for event in timeline.events] == ["firing", "delivered"]


async def test_a_prometheus_that_fails_for_a_moment_is_asked_again(servers: Servers) -> None:
    servers.prometheus_works = False
    watch, timeline = Watch(servers.url, servers.url), Timeline(arm="drilled", alerts=("A",))
    async with watch.running(), watch.told(timeline):
        await watch.heartbeat(within_s=5)
        servers.alerts = [{"labels": {"alertname": "A", "arm": "drilled"}, "state": "pending"}]
        servers.prometheus_works = True
        await watch.until(lambda: timeline.at_s("pending", "A") is not None, "A pending", timeline, within_s=5)


async def test_what_is_never_seen_is_an_error_that_says_what_was() -> None:
    timeline = Timeline(arm="drilled", alerts=("A",))
    timeline.note("pending", "A")
    with pytest.raises(NotSeen, match=r"A firing was not seen within 0 s; seen so far: A pending"):
        await Watch("http://nowhere", "http://nowhere").until(lambda: False, "A firing", timeline, within_s=0.05)
