"""The warm-up of an arm before its first round."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from lab.core.errors import ArmFailed
from lab.core.snapshot import Snapshot
from lab.load.load_model import ClosedLoop, Phase
from lab.load.recording import Recording
from lab.measure.metric import ArmRound, metric_named
from lab.measure.plan import Plan

STREAM: Final = 0
"""The requests of the warm-up, which is again and again the same list."""
STEP: Final = Phase(duration_s=1.0)
FIRST_REQUESTS: Final = 12
"""After a start: they import modules, build contexts of routes and open connections, and count nowhere."""
FIRST_PHASE: Final = Phase(duration_s=10.0)
STILL_WARMING: Final = 1.2
"""A throughput this many times the best so far means that caches are still filling."""
FULL_HIT_RATIO: Final = 0.95


@dataclass(frozen=True, kw_only=True)
class Warmth:
    """What the warm-up found."""

    capacity_per_s: float
    """Throughput of the closed loop when it got no faster."""
    has_cache: bool
    """Whether the arm counts cache lookups."""


async def warm_up(
    name: str,
    url: str,
    plan: Plan,
    drive: Callable[[ClosedLoop, Phase], Awaitable[Recording]],
    snapshot: Callable[[], Awaitable[Snapshot]],
) -> Warmth:
    """Run a closed loop until the arm gets no faster and its caches are full; raise `ArmFailed` without a response."""
    fastest = 0.0
    hits: float | None = None
    await drive(ClosedLoop(clients=plan.clients, requests=FIRST_REQUESTS), FIRST_PHASE)
    before = await snapshot()
    for _ in range(max(2, round(plan.warm_up_s / STEP.duration_s))):
        recording = await drive(ClosedLoop(clients=plan.clients), STEP)
        after = await snapshot()
        if not recording.responses:
            raise ArmFailed(name, f"does not respond at {url} ({_most_common(recording)})", None)
        if recording.unexpected.total() > recording.requests / 2:
            request, _ = recording.unexpected.most_common(1)[0]
            raise ArmFailed(name, f"does not respond as expected at {url} ({request})", None)
        hits = metric_named("hit_ratio").of(ArmRound(open_loop=recording, open_loop_delta=after.since(before)))
        is_full = hits is None or hits >= FULL_HIT_RATIO
        is_steady = recording.throughput_per_s <= STILL_WARMING * fastest
        fastest = max(fastest, recording.throughput_per_s)
        if is_full and is_steady:
            break
        before = after
    return Warmth(capacity_per_s=fastest, has_cache=hits is not None)


def _most_common(recording: Recording) -> str:
    return recording.failures.most_common(1)[0][0] if recording.failures else "no request was sent"
