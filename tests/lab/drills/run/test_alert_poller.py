from collections.abc import Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from lab.drills.run.alert_poller import AlertPoller
from lab.drills.run.errors import ObservationTimeout
from lab.drills.run.timeline import Timeline
from tests.servers.asgi import serving

pytestmark = pytest.mark.anyio


class Servers:
    """A fake Prometheus and a fake receiver."""

    def __init__(self) -> None:
        self.url = ""
        self.alerts: list[dict[str, Any]] = []
        self.notifications: list[dict[str, Any]] = []
        self.is_prometheus_up = True

    def notify(self, received_at: str, status: str) -> None:
        alert = {"labels": {"alertname": "A", "arm": "drilled"}, "status": status}
        self.notifications = [*self.notifications, {"received_at": received_at, "alerts": [alert]}]

    def app(self) -> Starlette:
        async def alerts(_: Request) -> JSONResponse:
            body = {"status": "success", "data": {"alerts": self.alerts}}
            return JSONResponse(body) if self.is_prometheus_up else JSONResponse({"status": "error"}, 503)

        async def notifications(_: Request) -> JSONResponse:
            return JSONResponse({"heartbeat_age_s": 1.0, "notifications": self.notifications})

        return Starlette(routes=[Route("/api/v1/alerts", alerts), Route("/notifications", notifications)])


@pytest.fixture
def servers() -> Iterator[Servers]:
    both = Servers()
    with serving(both.app()) as url:
        both.url = url
        yield both


async def test_a_timeline_gets_the_notifications_after_it_subscribed_and_no_older_ones(servers: Servers) -> None:
    servers.notify("2026-01-01T00:00:00+00:00", "firing")
    poller, timeline = AlertPoller(servers.url, servers.url), Timeline(arm="drilled", alerts=("A",))
    async with poller.running():
        await poller.wait_for_heartbeat(within_s=60)
        async with poller.subscribe(timeline):
            servers.alerts = [{"labels": {"alertname": "A", "arm": "drilled"}, "state": "firing"}]
            await poller.wait_until(
                lambda: timeline.first_s("firing", "A") is not None, "A firing", timeline, within_s=60
            )
            servers.notify("2026-01-01T00:00:05+00:00", "firing")
            await poller.wait_until(lambda: timeline.first_s("delivered", "A") is not None, "A", timeline, within_s=60)
    assert [event.kind for event in timeline.events] == ["firing", "delivered"]


async def test_a_failed_poll_of_prometheus_is_repeated(servers: Servers) -> None:
    servers.is_prometheus_up = False
    poller, timeline = AlertPoller(servers.url, servers.url), Timeline(arm="drilled", alerts=("A",))
    async with poller.running(), poller.subscribe(timeline):
        await poller.wait_for_heartbeat(within_s=60)
        servers.alerts = [{"labels": {"alertname": "A", "arm": "drilled"}, "state": "pending"}]
        servers.is_prometheus_up = True
        await poller.wait_until(
            lambda: timeline.first_s("pending", "A") is not None, "A pending", timeline, within_s=60
        )


async def test_a_timeout_shows_what_was_seen() -> None:
    timeline = Timeline(arm="drilled", alerts=("A",))
    timeline.add("pending", "A")
    with pytest.raises(ObservationTimeout, match=r"A firing was not seen within 0 s; seen so far: A pending"):
        await AlertPoller("http://nowhere", "http://nowhere").wait_until(
            lambda: False, "A firing", timeline, within_s=0.05
        )
