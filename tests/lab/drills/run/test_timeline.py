import asyncio

import pytest

from lab.drills.run.timeline import Timeline, alert_key


def alert(name: str, state: str, **labels: str) -> dict[str, object]:
    return {"labels": {"alertname": name, "arm": "drilled", **labels}, "state": state}


def notification(name: str, status: str, **labels: str) -> dict[str, object]:
    return {"labels": {"alertname": name, "arm": "drilled", **labels}, "status": status}


@pytest.fixture
def timeline() -> Timeline:
    return Timeline(arm="drilled", alerts=("A", "Stuck"))


def events(timeline: Timeline) -> list[str]:
    return [str(event) for event in timeline.events]


def test_an_alert_goes_from_pending_to_firing_to_resolved(timeline: Timeline) -> None:
    for poll in ([alert("A", "pending")], [alert("A", "firing")], [alert("A", "firing")], []):
        timeline.record_alerts(poll)
    assert events(timeline) == ["A pending", "A firing", "A resolved"]


def test_an_alert_that_was_only_pending_becomes_inactive_not_resolved(timeline: Timeline) -> None:
    timeline.record_alerts([alert("A", "pending")])
    timeline.record_alerts([])
    assert events(timeline) == ["A pending", "A inactive"]


def test_an_alert_fires_if_any_instance_does(timeline: Timeline) -> None:
    timeline.record_alerts([alert("A", "firing", pool="one"), alert("A", "pending", pool="two")])
    assert events(timeline) == ["A firing"]


def test_alerts_of_another_arm_are_ignored(timeline: Timeline) -> None:
    timeline.record_alerts([alert("A", "firing", arm="other")])
    timeline.record_notifications([notification("A", "firing", arm="other")])
    assert events(timeline) == []


def test_alerts_without_an_arm_are_recorded_if_the_drill_expects_them(timeline: Timeline) -> None:
    for name in ("Stuck", "Watchdog"):
        timeline.record_alerts([{"labels": {"alertname": name}, "state": "firing"}])
    assert events(timeline) == ["Stuck firing", "Stuck resolved"]


def test_a_resolution_is_delivered_when_every_instance_is_resolved(timeline: Timeline) -> None:
    timeline.record_notifications([notification("A", "firing", pool="one"), notification("A", "firing", pool="two")])
    timeline.record_notifications([notification("A", "resolved", pool="one")])
    assert not timeline.is_resolution_delivered("A")
    timeline.record_notifications([notification("A", "resolved", pool="two")])
    assert timeline.is_resolution_delivered("A")
    assert events(timeline) == ["A delivered", "A resolution delivered"]


def test_an_alert_that_fires_again_is_not_resolved(timeline: Timeline) -> None:
    timeline.record_notifications([notification("A", status) for status in ("firing", "resolved", "firing")])
    assert not timeline.is_resolution_delivered("A")


def test_events_before_a_moment_do_not_count_after_it(timeline: Timeline) -> None:
    timeline.record_notifications([notification("A", "firing"), notification("A", "resolved")])
    assert timeline.first_s("delivered", "A") is not None
    assert timeline.first_s("delivered", "A", since_s=timeline.now_s()) is None


def test_the_window_is_part_of_the_key_of_an_alert() -> None:
    assert alert_key({"alertname": "AvailabilityBudgetBurn", "window": "1h"}) == "AvailabilityBudgetBurn 1h"
    assert alert_key({"alertname": "PoolExhausted"}) == "PoolExhausted"


@pytest.mark.anyio
async def test_inactivity_ends_when_one_of_the_alerts_becomes_active(timeline: Timeline) -> None:
    await asyncio.sleep(0.02)
    timeline.record_alerts([alert("Another", "firing")])
    assert timeline.inactive_for_s() > 0
    timeline.record_alerts([alert("A", "pending")])
    assert timeline.inactive_for_s() == 0.0


def test_alerts_without_an_arm_are_ignored_if_it_is_required() -> None:
    without_arm = {"labels": {"alertname": "TargetDown", "job": "spans"}, "state": "firing"}
    with_arm = {"labels": {"alertname": "TargetDown", "job": "comparison", "arm": "drilled"}, "state": "firing"}
    arm_required = Timeline(arm="drilled", alerts=("TargetDown",), require_arm=True)
    arm_optional = Timeline(arm="drilled", alerts=("TargetDown",))

    for timeline in (arm_required, arm_optional):
        timeline.record_alerts([without_arm])
    assert [arm_required.is_resolved("TargetDown"), arm_optional.is_resolved("TargetDown")] == [True, False]

    arm_required.record_alerts([without_arm, with_arm])
    assert not arm_required.is_resolved("TargetDown")


def test_an_alert_of_a_service_without_arms_is_the_drills_by_its_name() -> None:
    timeline = Timeline(arm="", alerts=("A",))
    timeline.record_alerts([alert("A", "firing", arm="one"), alert("B", "firing", arm="one")])
    assert events(timeline) == ["A firing"]
