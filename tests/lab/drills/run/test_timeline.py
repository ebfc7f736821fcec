import asyncio

import pytest

from lab.drills.run.timeline import Timeline, key


def alert(name: str, state: str, **labels: str) -> dict[str, object]:
    return {"labels": {"alertname": name, "arm": "drilled", **labels}, "state": state}


def arrived(name: str, status: str, **labels: str) -> dict[str, object]:
    return {"labels": {"alertname": name, "arm": "drilled", **labels}, "status": status}


@pytest.fixture
def timeline() -> Timeline:
    return Timeline(arm="drilled", alerts=("A", "Stuck"))


def said(timeline: Timeline) -> list[str]:
    return [f"{event.alert} {event.what}" for event in timeline.events]


def test_an_alert_goes_from_pending_to_firing_to_resolved(timeline: Timeline) -> None:
    for look in ([alert("A", "pending")], [alert("A", "firing")], [alert("A", "firing")], []):
        timeline.saw_alerts(look)
    assert said(timeline) == ["A pending", "A firing", "A resolved"]


def test_an_alert_that_only_was_pending_did_not_resolve(timeline: Timeline) -> None:
    timeline.saw_alerts([alert("A", "pending")])
    timeline.saw_alerts([])
    assert said(timeline) == ["A pending", "A inactive"]


def test_of_several_instances_the_firing_one_counts(timeline: Timeline) -> None:
    timeline.saw_alerts([alert("A", "firing", pool="one"), alert("A", "pending", pool="two")])
    assert said(timeline) == ["A firing"]


def test_alerts_of_another_drill_are_not_seen(timeline: Timeline) -> None:
    timeline.saw_alerts([alert("A", "firing", arm="other")])
    timeline.saw_notifications([arrived("A", "firing", arm="other")])
    assert said(timeline) == []


def test_of_alerts_without_an_arm_those_are_seen_that_the_drill_waits_for(timeline: Timeline) -> None:
    for name in ("Stuck", "Watchdog"):
        timeline.saw_alerts([{"labels": {"alertname": name}, "state": "firing"}])
    assert said(timeline) == ["Stuck firing", "Stuck resolved"]


def test_a_delivery_is_over_when_each_of_its_instances_is(timeline: Timeline) -> None:
    timeline.saw_notifications([arrived("A", "firing", pool="one"), arrived("A", "firing", pool="two")])
    timeline.saw_notifications([arrived("A", "resolved", pool="one")])
    assert not timeline.is_over("A")
    timeline.saw_notifications([arrived("A", "resolved", pool="two")])
    assert timeline.is_over("A")
    assert said(timeline) == ["A delivered", "A delivered as resolved"]


def test_an_alert_that_fires_again_is_not_over(timeline: Timeline) -> None:
    timeline.saw_notifications([arrived("A", status) for status in ("firing", "resolved", "firing")])
    assert not timeline.is_over("A")


def test_what_happened_before_a_moment_does_not_count_after_it(timeline: Timeline) -> None:
    timeline.saw_notifications([arrived("A", "firing"), arrived("A", "resolved")])
    assert timeline.at_s("delivered", "A") is not None
    assert timeline.at_s("delivered", "A", since_s=timeline.now_s()) is None


def test_alerts_with_several_windows_are_told_apart() -> None:
    assert key({"alertname": "AvailabilityBudgetBurn", "window": "1h"}) == "AvailabilityBudgetBurn 1h"
    assert key({"alertname": "PoolExhausted"}) == "PoolExhausted"


@pytest.mark.anyio
async def test_quiet_ends_when_one_of_the_alerts_becomes_active(timeline: Timeline) -> None:
    await asyncio.sleep(0.02)
    timeline.saw_alerts([alert("Another", "firing")])
    assert timeline.quiet_for_s() > 0
    timeline.saw_alerts([alert("A", "pending")])
    assert timeline.quiet_for_s() == 0.0


def test_an_alert_about_something_else_is_not_the_drill_s() -> None:
    elsewhere = {"labels": {"alertname": "TargetDown", "job": "spans"}, "state": "firing"}
    here = {"labels": {"alertname": "TargetDown", "job": "comparison", "arm": "drilled"}, "state": "firing"}
    of_arm = Timeline(arm="drilled", alerts=("TargetDown",), is_of_arm=True)
    of_anything = Timeline(arm="drilled", alerts=("TargetDown",))

    for timeline in (of_arm, of_anything):
        timeline.saw_alerts([elsewhere])
    assert [of_arm.is_resolved("TargetDown"), of_anything.is_resolved("TargetDown")] == [True, False]

    of_arm.saw_alerts([elsewhere, here])
    assert not of_arm.is_resolved("TargetDown")
