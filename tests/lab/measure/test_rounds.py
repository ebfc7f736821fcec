"""The order of rounds, when they are repeated and when they end, with a scripted generator."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import pytest

from lab.analysis.outcome import compared
from lab.core.address import Address
from lab.core.snapshot import Snapshot
from lab.experiments import BY_NAME
from lab.load.client_state import ClientState
from lab.load.generator import LoadCommand
from lab.load.load import drive
from lab.load.load_model import ClosedLoop, OpenLoop
from lab.load.recording import Recording
from lab.load.testing import ReceivedRequest, StubResponse, stub_service
from lab.measure.metric import ArmRound
from lab.measure.plan import Plan
from lab.measure.rounds import CLOSED_STREAMS, Measurement, Round, measure
from lab.measure.warm_up import FIRST_REQUESTS
from lab.traffic.traffic import Traffic

PLAN = Plan(mix="boards", open_loop_s=1.0, closed_loop_s=0.5, min_rounds=4, max_rounds=4, rate_per_s=10.0)


@dataclass(frozen=True)
class Service:
    name: str
    url: str = "http://127.0.0.1:1"
    token: str = ""

    def check(self) -> None:
        """Always there."""

    async def snapshot(self) -> Snapshot:
        return Snapshot({})


class NullProgress:
    def status(self, text: str) -> None:
        """Show nothing."""

    def measured(self, arm: str, round_: int, arm_round: ArmRound) -> None:
        """Show nothing."""


def recorded(*, latency_s: float = 0.01, lateness_s: float = 0.0, backlog: int = 0, responses: int = 10) -> Recording:
    recording = Recording(duration_s=1.0, backlog=backlog)
    for _ in range(responses):
        recording.count("board", status=200, received_bytes=100, error="")
        recording.latencies["board"].record(latency_s)
        recording.lateness.record(lateness_s)
    return recording


class Scripted:
    """Records the commands and returns what the script returns."""

    def __init__(self, script: Callable[[LoadCommand], Recording] = lambda _: recorded()) -> None:
        self.script = script
        self.commands: list[LoadCommand] = []

    async def drive(self, command: LoadCommand) -> Recording:
        self.commands.append(command)
        return self.script(command)

    @property
    def open_loop(self) -> list[tuple[str, int]]:
        return [(command.arm, command.stream) for command in self.commands if isinstance(command.model, OpenLoop)]


def measured(
    generator: Scripted, plan: Plan = PLAN, *, is_precise: Callable[[Sequence[Round]], bool] = lambda _: False
) -> Measurement:
    arms = [Service("A"), Service("B")]
    return asyncio.run(measure(arms, plan, generator, progress=NullProgress(), is_precise=is_precise))


def test_rounds_go_forwards_and_backwards_and_both_arms_get_the_same_stream() -> None:
    generator = Scripted()
    measured(generator)
    assert generator.open_loop == [("A", 1), ("B", 1), ("B", 2), ("A", 2), ("A", 3), ("B", 3), ("B", 4), ("A", 4)]


def test_every_round_has_an_open_and_a_closed_loop_of_the_planned_length() -> None:
    generator = Scripted()
    result = measured(generator, replace(PLAN, min_requests=3))
    in_rounds = [command for command in generator.commands if command.stream > 0]
    assert {c.phase.duration_s for c in in_rounds if isinstance(c.model, OpenLoop)} == {1.0}
    # Half a second's work of an arm that serves 10 requests per second, for both arms, and not the same as before.
    lists = [(c.arm, c.stream, c.model.requests) for c in in_rounds if isinstance(c.model, ClosedLoop)]
    assert lists[:2] == [("A", CLOSED_STREAMS + 1, 5), ("B", CLOSED_STREAMS + 1, 5)]
    assert all(arm_round.closed_loop is not None for round_ in result.rounds for arm_round in round_.arms.values())


def test_the_first_requests_after_a_start_count_nowhere() -> None:
    generator = Scripted()
    measured(generator)
    for arm in "AB":
        first = next(command for command in generator.commands if command.arm == arm)
        assert first.model == ClosedLoop(clients=PLAN.clients, requests=FIRST_REQUESTS)


def test_before_the_first_round_the_run_says_what_it_can_see() -> None:
    said: list[str] = []

    class Progress(NullProgress):
        def status(self, text: str) -> None:
            said.append(text)

    arms = [Service("A"), Service("B")]
    expected = "{} rounds of {} requests".format
    asyncio.run(measure(arms, PLAN, Scripted(), progress=Progress(), is_precise=lambda _: False, expected=expected))
    assert said.index("4 rounds of 10 requests") < said.index("round 1: A")


def test_a_slow_service_gets_a_longer_open_loop_up_to_a_limit() -> None:
    for rate, seconds in ((4.0, 1.5), (0.1, 4.0)):
        generator = Scripted()
        measured(generator, replace(PLAN, rate_per_s=rate))
        assert next(o.phase.duration_s for o in generator.commands if isinstance(o.model, OpenLoop)) == seconds


def test_the_rate_follows_from_the_slowest_arm() -> None:
    generator = Scripted(lambda command: recorded(responses=20 if command.arm == "A" else 200))
    result = measured(generator, replace(PLAN, rate_per_s=0.0))
    assert result.capacity_per_s == {"A": 20.0, "B": 200.0}
    assert result.rate_per_s == pytest.approx(10.0)


def test_an_arm_is_warmed_until_it_gets_no_faster() -> None:
    speeds = iter([10, 40, 200, 210, 205, 10_000])
    generator = Scripted(
        lambda command: recorded(responses=next(speeds) if command.arm == "A" and command.stream == 0 else 30)
    )
    result = measured(generator)
    assert result.capacity_per_s["A"] == 210.0


def test_rounds_end_when_the_interval_is_narrow() -> None:
    plan = replace(PLAN, max_rounds=40)
    result = measured(Scripted(), plan, is_precise=lambda rounds: len(rounds) == 7)
    assert len(result.rounds) == 7
    assert result.failure == ""


def test_rounds_end_with_the_budget_but_not_before_the_fewest() -> None:
    result = measured(Scripted(), replace(PLAN, max_rounds=40, budget_s=0.0))
    assert len(result.rounds) == PLAN.min_rounds


def test_a_round_with_a_late_generator_is_measured_again() -> None:
    late = iter([True, False, False, True])
    generator = Scripted(
        lambda command: recorded(
            lateness_s=0.2 if isinstance(command.model, OpenLoop) and command.arm == "A" and next(late, False) else 0.0
        )
    )
    result = measured(generator)
    assert result.discarded == 2
    assert len(result.rounds) == 4
    assert [stream for arm, stream in generator.open_loop if arm == "A"] == [1, 1, 2, 3, 3, 4]


def test_rounds_of_a_generator_that_stays_late_are_kept_and_marked() -> None:
    result = measured(Scripted(lambda _: recorded(lateness_s=0.2)))
    assert (len(result.rounds), result.discarded, result.late_rounds) == (4, 3, 4)


async def test_a_generator_made_slow_on_purpose_makes_the_result_invalid() -> None:
    async def hold_up_the_generator(_: ReceivedRequest) -> StubResponse:
        time.sleep(0.06)  # noqa: ASYNC251 the service shares the generator's loop
        return StubResponse()

    class Slow(Scripted):
        async def drive(self, command: LoadCommand) -> Recording:
            if not isinstance(command.model, OpenLoop):
                return recorded()  # the warm-up
            return await drive(
                Address.of(command.url), command.requests(), command.model, command.phase, state=ClientState()
            )

    plan = replace(PLAN, open_loop_s=0.3, closed_loop_s=0.0, min_rounds=2, max_rounds=2, rate_per_s=20.0, budget_s=0.0)
    async with stub_service(hold_up_the_generator) as url:
        arms = [Service("A", url), Service("B", url)]
        found = await measure(arms, plan, Slow(), progress=NullProgress(), is_precise=lambda _: False)
    sides = {"A": frozenset[str](), "B": frozenset({"compression"})}
    result = compared(BY_NAME["compression"], found, sides=sides)
    assert (result.is_valid, result.late_rounds) == (False, 2)
    assert any("The load generator was late in 2 of 2 rounds" in note for note in result.notes)


@dataclass(frozen=True, kw_only=True)
class Counting(Service):
    """Counts what the generator sends it, and one cache lookup for each request."""

    generator: "Scripted"

    async def snapshot(self) -> Snapshot:
        sent = len(self.generator.commands)
        return Snapshot.parse(
            f'cache_requests_total{{cache="report",level="shared",result="hit"}} {sent}\ncommands_total {sent}\n'
        )


def test_the_reads_of_a_round_are_sent_to_an_arm_with_caches_before_it_and_count_as_cold() -> None:
    generator = Scripted(lambda command: recorded(latency_s=0.3 if not command.writes else 0.01))
    plan = replace(PLAN, mix="read after write", min_requests=10)
    arms = [Service("A"), Counting(name="B", generator=generator)]
    result = asyncio.run(measure(arms, plan, generator, progress=NullProgress(), is_precise=lambda _: False))
    first_passes = [command for command in generator.commands if not command.writes]
    listed = [islice(Traffic(plan.mix, seed=plan.seed).requests(command.stream), 10) for command in first_passes]
    assert [(command.arm, command.model) for command in first_passes] == [
        ("B, first pass", ClosedLoop(clients=1, requests=sum(request.kind != "update" for request in each)))
        for each in listed
    ]
    assert [command.stream for command in first_passes] == [
        stream for round_ in (1, 2, 3, 4) for stream in (round_, CLOSED_STREAMS + round_)
    ]
    for round_ in result.rounds:
        assert round_.arms["A"].cold is None
        assert round_.arms["B"].cold is not None
        assert round_.arms["B"].cold.responses.total() == 20
        assert round_.arms["B"].open_loop_delta.total("commands_total") == 1


def test_a_mix_of_writes_only_has_no_first_pass() -> None:
    generator = Scripted()
    plan = replace(PLAN, mix="updates")
    arms = [Counting(name="A", generator=generator)]
    asyncio.run(measure(arms, plan, generator, progress=NullProgress(), is_precise=lambda _: False))
    assert all(command.writes for command in generator.commands)


def test_an_arm_is_warmed_until_its_caches_are_full() -> None:
    @dataclass(frozen=True)
    class Caching(Service):
        pages: tuple[tuple[int, int], ...] = ((0, 0), (5, 20), (50, 30), (150, 32), (300, 33))

        async def snapshot(self) -> Snapshot:
            hits, misses = next(reading)
            labels = 'cache="report",level="shared"'
            return Snapshot.parse(
                f'cache_requests_total{{{labels},result="hit"}} {hits}\n'
                f'cache_requests_total{{{labels},result="miss"}} {misses}\n'
            )

    arm = Caching("A")
    reading = iter([*arm.pages, *[arm.pages[-1]] * 100])
    generator = Scripted()
    plan = replace(PLAN, closed_loop_s=0)
    asyncio.run(measure([arm], plan, generator, progress=NullProgress(), is_precise=lambda _: False))
    assert (
        sum(command.stream == 0 for command in generator.commands) == 1 + 3
    )  # the first requests; then 20 %, 82 %, 98 % of its lookups were hits


def test_a_saturated_service_is_measured_from_the_start_at_half_the_rate() -> None:
    def overrun(command: LoadCommand) -> Recording:
        too_much = isinstance(command.model, OpenLoop) and command.model.rate_per_s > 4 and command.stream >= 2
        return recorded(backlog=9 if too_much else 0)

    result = measured(Scripted(overrun))
    assert result.rate_per_s == 2.5
    assert len(result.rounds) == 4
    assert not result.is_saturated


def test_late_rounds_of_a_rate_that_was_too_high_do_not_count() -> None:
    def overrun(command: LoadCommand) -> Recording:
        too_much = isinstance(command.model, OpenLoop) and command.model.rate_per_s > 4
        return recorded(backlog=9 if too_much else 0, lateness_s=0.2 if too_much else 0.0)

    result = measured(Scripted(overrun), replace(PLAN, budget_s=0.0))
    assert (len(result.rounds), result.late_rounds) == (4, 0)


def test_a_service_that_never_keeps_up_is_measured_and_said_to_be_saturated() -> None:
    result = measured(Scripted(lambda command: recorded(backlog=9 if isinstance(command.model, OpenLoop) else 0)))
    assert result.is_saturated
    assert len(result.rounds) == 4


def test_a_service_that_does_not_respond_is_not_measured() -> None:
    def refused(command: LoadCommand) -> Recording:
        recording = recorded(responses=0 if command.arm == "B" else 10)
        recording.count("board", status=0, received_bytes=0, error="no connection: ConnectionRefusedError")
        return recording

    result = measured(Scripted(refused))
    assert result.rounds == []
    assert "B does not respond at http://127.0.0.1:1 (no connection: ConnectionRefusedError)" in result.failure


def test_without_a_closed_loop_there_is_none() -> None:
    generator = Scripted()
    measured(generator, replace(PLAN, closed_loop_s=0))
    assert not any(isinstance(command.model, ClosedLoop) and command.stream > 0 for command in generator.commands)
