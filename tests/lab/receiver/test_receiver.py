from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from lab.receiver.app import create_receiver
from lab.receiver.inbox import CAPACITY, Inbox
from tests.servers.asgi import serving


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def receiver(clock: Clock, tmp_path: Path) -> Iterator[httpx.Client]:
    (tmp_path / "pool-exhausted.md").write_text("# PoolExhausted\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n", "utf-8")
    app = create_receiver(Inbox(now=clock), runbooks=tmp_path)
    with serving(app) as url, httpx.Client(base_url=url) as client:
        yield client


def notification(status: str = "firing", **changes: Any) -> dict[str, Any]:
    alert = {
        "status": status,
        "labels": {"alertname": "PoolExhausted", "severity": "warning", "arm": "optimized"},
        "annotations": {
            "summary": "No connection became free",
            "description": "12 checkouts timed out",
            "runbook_url": "http://localhost:9095/runbooks/pool-exhausted",
            "dashboard_url": "http://localhost:3000/d/flightdeck-pooling",
        },
        "startsAt": "2026-01-01T00:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://localhost:9090/graph",
        "fingerprint": "1",
    }
    return {"version": "4", "status": status, "receiver": "ticket", "groupKey": "{}", "alerts": [alert | changes]}


def test_a_notification_is_shown_with_its_links(receiver: httpx.Client) -> None:
    assert receiver.post("/notifications/ticket", json=notification()).status_code == 204
    page = receiver.get("/").text
    assert "No connection became free" in page
    assert 'href="http://localhost:9095/runbooks/pool-exhausted"' in page
    assert 'href="http://localhost:3000/d/flightdeck-pooling"' in page
    assert "No alert is firing." not in page


def test_a_resolved_alert_no_longer_fires(receiver: httpx.Client) -> None:
    receiver.post("/notifications/ticket", json=notification())
    receiver.post("/notifications/ticket", json=notification("resolved", endsAt="2026-01-01T00:05:00Z"))
    assert "No alert is firing." in receiver.get("/").text
    statuses = [one["alerts"][0]["status"] for one in receiver.get("/notifications").json()["notifications"]]
    assert statuses == ["firing", "resolved"]


def test_text_of_an_alert_is_never_markup(receiver: httpx.Client) -> None:
    receiver.post("/notifications/page", json=notification(annotations={"summary": "<script>alert(1)</script>"}))
    page = receiver.get("/").text
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_a_javascript_url_is_no_link(receiver: httpx.Client) -> None:
    receiver.post("/notifications/page", json=notification(annotations={"runbook_url": "javascript:alert(1)"}))
    assert "javascript:" not in receiver.get("/").text


def test_the_page_shows_the_age_of_the_last_heartbeat(receiver: httpx.Client, clock: Clock) -> None:
    assert "No heartbeat yet" in receiver.get("/").text
    receiver.post("/notifications/heartbeat", json=notification())
    clock.now += timedelta(seconds=42)
    assert "last heartbeat 42 s ago" in receiver.get("/").text
    clock.now += timedelta(seconds=300)
    assert "342 s old: Prometheus or Alertmanager no longer delivers" in receiver.get("/").text
    assert receiver.get("/notifications").json()["notifications"] == []


def test_old_notifications_are_dropped(receiver: httpx.Client) -> None:
    for number in range(CAPACITY + 3):
        receiver.post("/notifications/ticket", json=notification(fingerprint=str(number)))
    notifications = receiver.get("/notifications").json()["notifications"]
    assert len(notifications) == CAPACITY
    assert notifications[0]["alerts"][0]["fingerprint"] == "3"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/notifications/unknown", notification(), 404),
        ("/notifications/page", {"alerts": []}, 400),
        ("/notifications/page", "no object", 400),
    ],
    ids=["an unknown receiver", "no alerts", "no object"],
)
def test_an_invalid_notification_is_rejected(receiver: httpx.Client, path: str, body: object, status: int) -> None:
    assert receiver.post(path, json=body).status_code == status


def test_a_body_that_is_no_json_is_rejected(receiver: httpx.Client) -> None:
    assert receiver.post("/notifications/page", content=b"\xff{").status_code == 400


def test_a_notification_over_the_size_limit_is_rejected(receiver: httpx.Client) -> None:
    assert receiver.post("/notifications/page", content=b" " * 1_000_001).status_code == 413


@pytest.mark.parametrize("name", ["pool-exhausted", "pool-exhausted.md"], ids=["in an alert", "in another runbook"])
def test_a_runbook_is_a_page(receiver: httpx.Client, name: str) -> None:
    response = receiver.get(f"/runbooks/{name}")
    assert response.headers["content-type"].startswith("text/html")
    assert "<h1>PoolExhausted</h1>" in response.text
    assert "<td>1</td>" in response.text


@pytest.mark.parametrize("name", ["unknown", "%2e%2e%2fsecret", "a.b", "A"])
def test_only_runbooks_are_served(receiver: httpx.Client, name: str) -> None:
    assert receiver.get(f"/runbooks/{name}").status_code == 404
