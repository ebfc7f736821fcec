"""Interleaved rounds: every arm in turn under the same requests, forwards and then backwards (ABBA)."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from time import monotonic
from typing import Final, Protocol

from lab.core.errors import ArmFailed
from lab.core.snapshot import Snapshot
from lab.load.generator import LoadCommand
from lab.load.load_model import ClosedLoop, LoadModel, OpenLoop, Phase
from lab.load.recording import Recording
from lab.measure.metric import ArmRound
from lab.measure.plan import Plan
from lab.measure.trace import TraceResult
from lab.measure.warm_up import STREAM as WARM_UP_STREAM
from lab.measure.warm_up import warm_up
from lab.profile.result import ProfileResult
from lab.traffic.traffic import WRITES, Traffic

UTILISATION: Final = 0.5
"""Rate of the open loop as a share of the slowest arm's throughput: busy, seldom with a long queue."""
MAX_RATE_PER_S: Final = 400.0
"""Up to here the generator stays on schedule beside an arm on two cores."""
MIN_RATE_PER_S: Final = 1.0
MAX_STRETCH_FACTOR: Final = 4.0
"""Upper limit for lengthening an open loop that is too short for `Plan.min_requests`."""
LIST_LIMIT: Final = 10.0
"""Time limit of the list of the closed loop, as a multiple of the planned time."""
CLOSED_STREAMS: Final = 100_000
"""Offset of the closed loop's streams: its requests are not those of the open loop again."""
MAX_HALVINGS: Final = 2
"""How often a rate that saturates an arm is halved."""
MAX_DISCARDED: Final = 3


class Target(Protocol):
    """What can be measured: an arm that the lab started, or any running service."""

    @property
    def name(self) -> str: ...

    @property
    def url(self) -> str: ...

    @property
    def token(self) -> str:
        """The bearer token of writes."""

    def check(self) -> None:
        """Raise `ArmFailed` if its process has ended."""

    async def snapshot(self) -> Snapshot:
        """Return its metrics now; empty without metrics."""


class LoadDriver(Protocol):
    async def drive(self, command: LoadCommand) -> Recording: ...


class Progress(Protocol):
    """Shows the progress of a run."""

    def status(self, text: str) -> None:
        """Show what is in progress."""

    def measured(self, arm: str, round_: int, arm_round: ArmRound) -> None:
        """Show the figures of an arm in a round, which may still be discarded; rounds count from 0."""


@dataclass(frozen=True, kw_only=True)
class Round:
    """All arms, measured directly after each other."""

    at_s: float
    """Since the start of the first round."""
    arms: dict[str, ArmRound]


@dataclass(kw_only=True)
class Measurement:
    """All rounds, and what limits their interpretation."""

    rate_per_s: float = 0.0
    requests_per_round: int = 0
    """Of the open loop, per arm."""
    capacity_per_s: dict[str, float] = field(default_factory=dict)
    rounds: list[Round] = field(default_factory=list)
    discarded: int = 0
    """Rounds repeated because the generator was late."""
    late_rounds: int = 0
    """Rounds kept although the generator was late again; they make the result invalid."""
    is_interrupted: bool = False
    is_saturated: bool = False
    failure: str = ""
    """Why it ended early, if it did."""
    traces: dict[str, TraceResult] = field(default_factory=dict)
    """One request per arm, where arms export spans."""
    profiles: dict[str, ProfileResult] = field(default_factory=dict)
    """By arm; empty unless both could be profiled."""
    not_profiled: str = ""
    """Why not, where profiles were wanted."""


IsPrecise = Callable[[Sequence[Round]], bool]
"""Decides after each round whether the intervals are narrow enough to stop."""


Expected = Callable[[int, int], str]
"""Describes what a number of rounds with a number of requests each will be able to show."""


async def measure(
    arms: Sequence[Target],
    plan: Plan,
    generator: LoadDriver,
    *,
    progress: Progress,
    is_precise: IsPrecise,
    expected: Expected | None = None,
) -> Measurement:
    """Measure rounds; a failed arm, a cancellation or the end of the budget stops early and keeps complete rounds."""
    measuring = _Measuring(arms, plan, generator, progress)
    try:
        await measuring.prepare()
        if expected is not None:
            progress.status(expected(plan.max_rounds, measuring.result.requests_per_round))
        await measuring.run_rounds(is_precise)
    except asyncio.CancelledError:
        measuring.result.is_interrupted = True
    except ArmFailed as error:
        measuring.result.failure = str(error)
    return measuring.result


class _Measuring:
    def __init__(self, arms: Sequence[Target], plan: Plan, generator: LoadDriver, progress: Progress) -> None:
        self.result = Measurement(rate_per_s=plan.rate_per_s)
        self._arms = arms
        self._plan = plan
        self._generator = generator
        self._progress = progress
        self._caching: set[str] = set()
        """Names of the arms whose caches need a first pass."""

    async def prepare(self) -> None:
        """Warm up every arm, then derive the rate from the slowest one's throughput."""
        for arm in self._arms:
            self._progress.status(f"warming up {arm.name}")
            drive = partial(self._drive, arm, stream=WARM_UP_STREAM)
            warmth = await warm_up(arm.name, arm.url, self._plan, drive, arm.snapshot)
            self.result.capacity_per_s[arm.name] = warmth.capacity_per_s
            if warmth.has_cache and self._plan.mix:  # a workload may write
                self._caching.add(arm.name)
        if not self.result.rate_per_s:
            slowest = min(self.result.capacity_per_s.values())
            self.result.rate_per_s = min(max(UTILISATION * slowest, MIN_RATE_PER_S), MAX_RATE_PER_S)
        self.result.requests_per_round = round(self.result.rate_per_s * self._open_loop_s)

    @property
    def _open_loop_s(self) -> float:
        plan = self._plan
        return min(
            max(plan.open_loop_s, plan.min_requests / self.result.rate_per_s), MAX_STRETCH_FACTOR * plan.open_loop_s
        )

    async def run_rounds(self, is_precise: IsPrecise) -> None:
        result, plan = self.result, self._plan
        started = monotonic()
        halvings = 0
        while len(result.rounds) < plan.max_rounds:
            round_ = await self._round(len(result.rounds), started)
            spent = monotonic() - started
            if any(arm.open_loop.is_late(plan.tolerated_lateness_s) for arm in round_.arms.values()):
                if result.discarded < MAX_DISCARDED and spent < plan.budget_s / 2:
                    result.discarded += 1
                    self._progress.status("repeating the round: the load generator was late")
                    continue
                result.late_rounds += 1
            if any(arm.open_loop.is_saturated for arm in round_.arms.values()):
                if halvings < MAX_HALVINGS:
                    halvings += 1
                    result.rate_per_s /= 2
                    result.requests_per_round = round(result.rate_per_s * self._open_loop_s)
                    result.rounds.clear()
                    result.late_rounds = 0
                    self._progress.status(
                        f"an arm is saturated; retrying at {result.rate_per_s:.1f} requests per second"
                    )
                    continue
                result.is_saturated = True
            result.rounds.append(round_)
            if len(result.rounds) >= plan.min_rounds and (is_precise(result.rounds) or spent > plan.budget_s):
                return

    async def _round(self, number: int, started: float) -> Round:
        at_s = monotonic() - started
        arms = {}
        for arm in self._arms if number % 2 == 0 else self._arms[::-1]:
            self._progress.status(f"round {number + 1}: {arm.name}")
            arms[arm.name] = await self._arm_round(arm, number + 1)
            self._progress.measured(arm.name, number, arms[arm.name])
        return Round(at_s=at_s, arms={arm.name: arms[arm.name] for arm in self._arms})

    async def _arm_round(self, arm: Target, stream: int) -> ArmRound:
        plan = self._plan
        model = OpenLoop(rate_per_s=self.result.rate_per_s)
        lists = {stream: self.result.requests_per_round}
        if plan.closed_loop_s:
            capacity_per_s = min(self.result.capacity_per_s.values())
            lists[CLOSED_STREAMS + stream] = max(plan.min_requests, round(capacity_per_s * plan.closed_loop_s))
        cold = await self._first_pass(arm, lists) if arm.name in self._caching else None
        before = await arm.snapshot()
        open_loop = await self._drive(arm, model, Phase(duration_s=self._open_loop_s), stream=stream)
        between = await arm.snapshot()
        if not plan.closed_loop_s:
            return ArmRound(
                open_loop=open_loop, cold=cold, open_loop_delta=between.since(before), final_metrics=between
            )
        closed_stream = CLOSED_STREAMS + stream
        closed_loop = await self._drive(
            arm,
            ClosedLoop(clients=plan.clients, requests=lists[closed_stream]),
            self._list_phase,
            stream=closed_stream,
        )
        after = await arm.snapshot()
        return ArmRound(
            open_loop=open_loop,
            closed_loop=closed_loop,
            cold=cold,
            open_loop_delta=between.since(before),
            closed_loop_delta=after.since(between),
            final_metrics=after,
        )

    @property
    def _list_phase(self) -> Phase:
        return Phase(duration_s=LIST_LIMIT * max(self._plan.closed_loop_s, self._plan.open_loop_s))

    async def _first_pass(self, arm: Target, lists: Mapping[int, int]) -> Recording:
        """Send the reads of the round one after the other, so that its loops find warm caches.

        The clients are others than those of the round, whose private caches stay as they are.
        """
        cold = Recording(duration_s=0.0)
        for stream, requests in lists.items():
            if reads := self._reads(stream, requests):
                model = ClosedLoop(clients=1, requests=reads)
                cold.add(await self._drive(arm, model, self._list_phase, stream=stream, is_first_pass=True))
        return cold

    def _reads(self, stream: int, requests: int) -> int:
        """Return how many requests of a list only read."""
        listed = islice(Traffic(self._plan.mix, seed=self._plan.seed).requests(stream), requests)
        return sum(request.kind not in WRITES for request in listed)

    async def _drive(
        self, arm: Target, model: LoadModel, phase: Phase, *, stream: int, is_first_pass: bool = False
    ) -> Recording:
        name = f"{arm.name}, first pass" if is_first_pass else arm.name
        command = self._plan.command(name, arm.url, model=model, phase=phase, stream=stream, token=arm.token)
        recording = await self._generator.drive(replace(command, writes=not is_first_pass))
        arm.check()
        return recording
