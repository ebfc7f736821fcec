import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from lab.drills.run.alert_poller import AlertPoller
from lab.drills.run.drill import BaseDrill
from lab.drills.run.observe import observe
from lab.drills.run.timeline import Timeline

pytestmark = pytest.mark.anyio

FIRING = [{"labels": {"alertname": "A", "arm": "drilled"}, "state": "firing"}]


@pytest.fixture
def timeline() -> Timeline:
    return Timeline(arm="drilled", alerts=("A",))


async def injected_after_s(timeline: Timeline) -> float:
    """Observe a fault whose alert fires at once, and return how long the warm-up lasted."""

    @asynccontextmanager
    async def fault() -> AsyncIterator[None]:
        timeline.record_alerts(FIRING)
        yield
        timeline.record_alerts([])

    drill = BaseDrill(name="drilled", description="", alerts=("A",), is_delivered=False, warmup_s=0.3)
    began_s = timeline.now_s()
    poller = AlertPoller("http://unused", "http://unused")
    await observe(drill, fault(), timeline, poller=poller, log=lambda _: None)
    injected_s = timeline.first_s("fault injected")
    assert injected_s is not None
    return injected_s - began_s


async def test_the_time_in_which_the_service_started_is_no_warmup(timeline: Timeline) -> None:
    await asyncio.sleep(0.4)
    assert await injected_after_s(timeline) >= 0.3


async def test_the_warmup_begins_again_when_an_alert_becomes_inactive(timeline: Timeline) -> None:
    timeline.record_alerts(FIRING)
    asyncio.get_running_loop().call_later(0.2, timeline.record_alerts, [])
    assert await injected_after_s(timeline) >= 0.45


async def test_the_fault_ends_when_its_alert_was_seen_and_the_drill_when_it_is_resolved(timeline: Timeline) -> None:
    await injected_after_s(timeline)
    assert [str(event) for event in timeline.events] == ["fault injected", "A firing", "fault ended", "A resolved"]
