"""Interleaved rounds: every arm in turn under the same requests, forwards and then backwards (ABBA)."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Final, Protocol

from lab.core.errors import ArmFailed
from lab.core.snapshot import Snapshot
from lab.load.generator import LoadCommand
from lab.load.load_model import ClosedLoop, LoadModel, OpenLoop, Phase
from lab.load.recording import LATE_S, Recording
from lab.measure.metric import ArmRound, metric_named
from lab.measure.trace import TraceResult

UTILISATION: Final = 0.6
"""Share of the slowest arm's throughput that the open loop asks for: busy, not overrun."""
FASTEST_PER_S: Final = 400.0
"""The generator keeps its promises up to here beside an arm on two cores."""
SLOWEST_PER_S: Final = 1.0
LONGEST_FACTOR: Final = 4.0
"""A phase that is too short for the fewest requests is not made longer than so many times what was planned."""
WARM_UP_STEP_S: Final = 1.0
STILL_WARMING: Final = 1.2
"""An arm that answers this many times as fast as a step before has caches to fill yet."""
FULL: Final = 0.95
"""A cache that has this share of what is asked for."""
HALVINGS: Final = 2
"""How often a rate that turned out too high is halved before the run is given up."""
MOST_DISCARDED: Final = 3


class Target(Protocol):
    """What can be measured: an arm that the lab started, or a service that somebody else runs."""

    @property
    def name(self) -> str:
        """What it is called in the result."""

    @property
    def url(self) -> str:
        """Where it listens."""

    @property
    def token(self) -> str:
        """The bearer token of its writes."""

    def check(self) -> None:
        """Raise `ArmFailed` if it is gone."""

    async def snapshot(self) -> Snapshot:
        """Return its metrics now, empty where it has none."""


class Drives(Protocol):
    """What carries out orders: the load generator."""

    async def drive(self, order: LoadCommand) -> Recording:
        """Return what the order recorded."""


class Progress(Protocol):
    """Somebody who follows the measuring."""

    def status(self, text: str) -> None:
        """Note what happens now."""

    def measured(self, arm: str, round_: int, arm_round: ArmRound) -> None:
        """Note what an arm showed in a round, which may yet be discarded; rounds count from 0."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to send, how long, how often."""

    mix: str = ""
    targets: tuple[tuple[str, str], ...] = ()
    seed: int = 1
    open_loop_s: float = 5.0
    closed_loop_s: float = 2.0
    """0: no closed loop."""
    fewest_requests: int = 6
    """A phase of the open loop lasts until so many requests were due, however slow the arm."""
    clients: int = 4
    """Of the closed loop."""
    warm_up_s: float = 15.0
    """At most, per arm, once, before the first round."""
    min_rounds: int = 6
    max_rounds: int = 40
    budget_s: float = 90.0
    rate_per_s: float = 0.0
    """0: found by trying."""
    tolerated_lateness_s: float = LATE_S
    """A round is measured again if the load generator was later than this and it shows in the latencies."""


@dataclass(frozen=True, kw_only=True)
class Round:
    """One arm_round per arm, measured directly after each other."""

    at_s: float
    """Since the first round began."""
    arms: dict[str, ArmRound]


@dataclass(kw_only=True)
class Measurement:
    """All rounds, and what has to be known to read them."""

    rate_per_s: float = 0.0
    capacity_per_s: dict[str, float] = field(default_factory=dict)
    rounds: list[Round] = field(default_factory=list)
    discarded: int = 0
    """Rounds that were measured again because the generator was late."""
    late_rounds: int = 0
    """Rounds that were kept although it was late again: the run is not valid, and says so."""
    is_interrupted: bool = False
    is_saturated: bool = False
    failure: str = ""
    """Why it ended early, if it did."""
    traces: dict[str, TraceResult] = field(default_factory=dict)
    """One request to each arm, by its name, where arms send spans."""


TightEnough = Callable[[Sequence[Round]], bool]
"""Decides after each round whether the intervals are narrow enough to stop."""


async def measure(
    arms: Sequence[Target], plan: Plan, generator: Drives, *, progress: Progress, tight_enough: TightEnough
) -> Measurement:
    """Return the rounds; an arm that dies, a cancellation or a spent budget ends them early and keeps what there is."""
    measuring = _Measuring(arms, plan, generator, progress)
    try:
        await measuring.prepare()
        await measuring.rounds(tight_enough)
    except asyncio.CancelledError:
        measuring.result.is_interrupted = True
    except ArmFailed as error:
        measuring.result.failure = str(error)
    return measuring.result


class _Measuring:
    def __init__(self, arms: Sequence[Target], plan: Plan, generator: Drives, progress: Progress) -> None:
        self.result = Measurement(rate_per_s=plan.rate_per_s)
        self._arms = arms
        self._plan = plan
        self._generator = generator
        self._progress = progress

    async def prepare(self) -> None:
        """Warm every arm and find the rate that the slowest one can take."""
        for arm in self._arms:
            self._progress.status(f"warming {arm.name}")
            self.result.capacity_per_s[arm.name] = await self._warmed(arm)
        if not self.result.rate_per_s:
            slowest = min(self.result.capacity_per_s.values())
            self.result.rate_per_s = min(max(UTILISATION * slowest, SLOWEST_PER_S), FASTEST_PER_S)

    async def _warmed(self, arm: Target) -> float:
        """Ask as fast as the arm answers until it gets no faster and its caches are full. Return its throughput."""
        fastest = 0.0
        before = await arm.snapshot()
        for _ in range(max(2, round(self._plan.warm_up_s / WARM_UP_STEP_S))):
            model = ClosedLoop(clients=self._plan.clients)
            recording = await self._drive(arm, model, Phase(duration_s=WARM_UP_STEP_S), stream=0)
            after = await arm.snapshot()
            if not recording.responses:
                raise ArmFailed(arm.name, f"answers nothing at {arm.url} ({_most_common(recording)})", None)
            hits = metric_named("hit_ratio").of(ArmRound(open_loop=recording, open_loop_delta=after.since(before)))
            is_full = hits is None or hits >= FULL
            is_as_fast = recording.throughput_per_s <= STILL_WARMING * fastest
            fastest = max(fastest, recording.throughput_per_s)
            if is_full and is_as_fast:
                break
            before = after
        return fastest

    async def rounds(self, tight_enough: TightEnough) -> None:
        """Measure round after round."""
        result, plan = self.result, self._plan
        begun = monotonic()
        halvings = 0
        while len(result.rounds) < plan.max_rounds:
            round_ = await self._round(len(result.rounds), begun)
            spent = monotonic() - begun
            if any(arm_round.open_loop.is_late(plan.tolerated_lateness_s) for arm_round in round_.arms.values()):
                if result.discarded < MOST_DISCARDED and spent < plan.budget_s / 2:
                    result.discarded += 1
                    self._progress.status("the load generator was late; once more")
                    continue
                result.late_rounds += 1
            if any(arm_round.open_loop.is_saturated for arm_round in round_.arms.values()):
                if halvings < HALVINGS:
                    halvings += 1
                    result.rate_per_s /= 2
                    result.rounds.clear()
                    result.late_rounds = 0
                    self._progress.status(
                        f"an arm could not keep up; trying {result.rate_per_s:.1f} requests per second"
                    )
                    continue
                result.is_saturated = True
            result.rounds.append(round_)
            if len(result.rounds) >= plan.min_rounds and (tight_enough(result.rounds) or spent > plan.budget_s):
                return

    async def _round(self, number: int, begun: float) -> Round:
        at_s = monotonic() - begun
        order = self._arms if number % 2 == 0 else self._arms[::-1]
        arm_rounds = {}
        for arm in order:
            self._progress.status(f"round {number + 1}: {arm.name}")
            arm_rounds[arm.name] = await self._arm_round(arm, number + 1)
            self._progress.measured(arm.name, number, arm_rounds[arm.name])
        return Round(at_s=at_s, arms={arm.name: arm_rounds[arm.name] for arm in self._arms})

    async def _arm_round(self, arm: Target, stream: int) -> ArmRound:
        plan = self._plan
        opened_loop = OpenLoop(rate_per_s=self.result.rate_per_s)
        before = await arm.snapshot()
        open_loop_s = min(
            max(plan.open_loop_s, plan.fewest_requests / opened_loop.rate_per_s), LONGEST_FACTOR * plan.open_loop_s
        )
        opened = await self._drive(arm, opened_loop, Phase(duration_s=open_loop_s), stream=stream)
        between = await arm.snapshot()
        if not plan.closed_loop_s:
            return ArmRound(open_loop=opened, open_loop_delta=between.since(before), final_metrics=between)
        closed_loop = ClosedLoop(clients=plan.clients)
        closed = await self._drive(arm, closed_loop, Phase(duration_s=plan.closed_loop_s), stream=stream)
        after = await arm.snapshot()
        return ArmRound(
            open_loop=opened,
            closed_loop=closed,
            open_loop_delta=between.since(before),
            closed_loop_delta=after.since(between),
            final_metrics=after,
        )

    async def _drive(self, arm: Target, model: LoadModel, phase: Phase, *, stream: int) -> Recording:
        plan = self._plan
        recording = await self._generator.drive(
            LoadCommand(
                arm=arm.name,
                url=arm.url,
                model=model,
                phase=phase,
                stream=stream,
                mix=plan.mix,
                targets=plan.targets,
                seed=plan.seed,
                token=arm.token,
            )
        )
        arm.check()
        return recording


def _most_common(recording: Recording) -> str:
    return recording.failures.most_common(1)[0][0] if recording.failures else "no request was made"
