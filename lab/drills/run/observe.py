"""A fault under observation: all is well, the fault, the alerts, the repair, all is well again."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

from lab.drills.run.drill import Expectation
from lab.drills.run.timeline import Timeline
from lab.drills.run.watch import Watch

CALM_WITHIN_S: Final = 120.0
"""From the beginning until none of the alerts has been active for as long as is asked."""

Say = Callable[[str], None]


async def observe(
    expected: Expectation, fault: AbstractAsyncContextManager[None], timeline: Timeline, *, watch: Watch, say: Say
) -> None:
    """Enter the fault when all is well, leave it when every alert was seen, return when all is well again.

    Raise `NotSeen` where one of these does not come in time; the fault is repaired in every case.
    """
    alerts = " and ".join(expected.alerts)

    async def until(seen: Callable[[], bool], what: str, within_s: float) -> None:
        await watch.until(seen, what, timeline, within_s=within_s)

    calm_within_s = CALM_WITHIN_S + expected.warm_s
    await until(
        lambda: timeline.quiet_for_s() >= expected.warm_s, f"{expected.warm_s:.0f} s without {alerts}", calm_within_s
    )
    say(f"all is well; now: {expected.breaks}")
    timeline.note("fault")
    begun_s = timeline.now_s()
    sign = "delivered" if expected.is_heard else "firing"

    def has_come(alert: str) -> Callable[[], bool]:
        return lambda: timeline.at_s(sign, alert, since_s=begun_s) is not None

    async with fault:
        for alert in expected.alerts:
            await until(has_come(alert), f"{alert} {sign}", expected.fires_within_s)
            say(f"{alert} {'arrived' if expected.is_heard else 'fires'}")
        timeline.note("repair")
    say("repaired")

    def is_over(alert: str) -> Callable[[], bool]:
        return lambda: timeline.is_over(alert) if expected.is_heard else timeline.is_resolved(alert)

    for alert in expected.alerts:
        await until(is_over(alert), f"the end of {alert}", expected.resolves_within_s)
        say(f"{alert} is over")
