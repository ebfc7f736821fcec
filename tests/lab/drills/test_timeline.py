import asyncio
from typing import Any

import pytest

from lab.drills.errors import NotSeen
from lab.drills.timeline import Timeline, key

pytestmark = pytest.mark.anyio


def alerts(*states: tuple[str, str]) -> dict[str, Any]:
    return {"data": {"alerts": [{"labels": {"alertname": name}, "state": state} for name, state in states]}}


def arrivals(*statuses: tuple[str, str]) -> dict[str, Any]:
    sent = [{"labels": {"alertname": name}, "status": status} for name, status in statuses]
    return {"heartbeat_age_s": 1.0, "arrivals": [{"alerts": sent}]}


@pytest.fixture
def timeline() -> Timeline:
    return Timeline("http://prometheus", "http://receiver")


def said(timeline: Timeline) -> list[str]:
    return [f"{event.alert} {event.what}" for event in timeline.events]


def test_an_alert_goes_from_pending_to_firing_to_resolved(timeline: Timeline) -> None:
    for answer in (alerts(("A", "pending")), alerts(("A", "firing")), alerts(("A", "firing")), alerts()):
        timeline._look_at_alerts(answer)
    assert said(timeline) == ["A pending", "A firing", "A resolved"]


def test_an_alert_that_only_was_pending_did_not_resolve(timeline: Timeline) -> None:
    timeline._look_at_alerts(alerts(("A", "pending")))
    timeline._look_at_alerts(alerts())
    assert said(timeline) == ["A pending", "A inactive"]


def test_of_several_instances_the_firing_one_counts(timeline: Timeline) -> None:
    timeline._look_at_alerts(alerts(("A", "firing"), ("A", "pending")))
    assert said(timeline) == ["A firing"]


def test_the_heartbeat_is_no_event(timeline: Timeline) -> None:
    timeline._look_at_alerts(alerts(("Heartbeat", "firing")))
    timeline._look_at_notifications(arrivals(("Heartbeat", "firing")))
    assert said(timeline) == []
    assert timeline.heartbeat_at_s is not None


def test_each_delivery_is_noted_once(timeline: Timeline) -> None:
    for _ in range(2):
        timeline._look_at_notifications(arrivals(("A", "firing"), ("A", "resolved")))
    assert said(timeline) == ["A delivered", "A delivered as resolved"]


def test_alerts_with_several_windows_are_told_apart() -> None:
    assert key({"alertname": "AvailabilityBudgetBurn", "window": "1h"}) == "AvailabilityBudgetBurn 1h"
    assert key({"alertname": "PoolExhausted"}) == "PoolExhausted"


async def test_what_is_never_seen_is_an_error_that_says_what_was(timeline: Timeline) -> None:
    timeline.note("pending", "A")
    with pytest.raises(NotSeen, match=r"A firing was not seen within 0 s; seen so far: A pending"):
        await timeline.wait_for("firing", "A", within_s=0.05)


async def test_quiet_ends_when_an_alert_becomes_active(timeline: Timeline) -> None:
    timeline._look_at_notifications(arrivals())
    await asyncio.sleep(0.02)
    assert timeline.quiet_for_s(["A"]) > 0
    timeline._look_at_alerts(alerts(("A", "pending")))
    assert timeline.quiet_for_s(["A"]) == 0.0
    assert timeline.quiet_for_s(["B"]) > 0
