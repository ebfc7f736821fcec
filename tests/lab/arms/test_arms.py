"""Arms as real child processes, played by a small service that speaks the contract."""

import asyncio
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from lab.analysis.outcome import compared, is_precise
from lab.arms.arms import Arm, ArmSpec, running
from lab.core.errors import ArmFailed
from lab.experiments import BY_NAME
from lab.load.generator import Generator
from lab.measure.metric import ArmRound
from lab.measure.plan import Plan
from lab.measure.rounds import Measurement, Round, measure
from lab.workload.workload import Workload

SERVICE = """
import asyncio, os, sys, time
from lab.load.testing import StubResponse, ReceivedRequest, stub_service

queries = responses = 0
slow = os.environ["TECHNIQUES"] == "none"

async def page(request: ReceivedRequest) -> StubResponse:
    global queries, responses
    if request.target.startswith("/die"):
        os._exit(3)
    responses += 1
    queries += 30 if slow else 3
    await asyncio.sleep(0.03 if slow else 0.003)
    return StubResponse(body=b"x" * (5000 if slow else 500))

async def contract(request: ReceivedRequest) -> StubResponse:
    if request.target == "/readyz":
        return StubResponse(status=503 if "never ready" in os.environ["ARM"] else 200)
    return await page(request)

async def metrics(request: ReceivedRequest) -> StubResponse:
    text = f"db_queries_per_request_sum {queries}\\nprocess_cpu_seconds_total {time.process_time()}\\n"
    return StubResponse(body=text.encode())

async def main() -> None:
    if "broken" in os.environ["ARM"]:
        sys.exit("the database is on fire")
    port = int(sys.argv[sys.argv.index("--port") + 1])
    metrics_port = int(os.environ["OTEL_EXPORTER_PROMETHEUS_PORT"])
    async with stub_service(contract, port=port), stub_service(metrics, port=metrics_port):
        await asyncio.sleep(600)

asyncio.run(main())
"""
COMMAND = (sys.executable, "-c", SERVICE)
PLAN = Plan(
    workload=Workload.of("/page").encode(),
    open_loop_s=0.3,
    closed_loop_s=0.2,
    rate_per_s=30,
    warm_up_s=2.0,
    min_rounds=4,
    max_rounds=4,
    tolerated_lateness_s=10.0,  # the tests' machine may be busy
)
OTHER_CHILDREN: set[psutil.Process] = set()
ENDLESS = replace(PLAN, closed_loop_s=0, min_rounds=50, max_rounds=50)


class After:
    """Does something in the third round, when two are complete."""

    def __init__(self, then: Callable[[], object] = lambda: None) -> None:
        self.then = then

    def status(self, text: str) -> None:
        """Nothing to note."""

    def measured(self, arm: str, round_: int, arm_round: ArmRound) -> None:  # noqa: ARG002 the seam's signature
        if round_ == 2:
            self.then()


def arm(name: str, techniques: Sequence[str] = ()) -> Arm:
    spec = ArmSpec(name=name, techniques=frozenset(techniques))
    return Arm(spec, data_dir=Path(), token="secret", writes=False, command=COMMAND)


def never(_: Sequence[Round]) -> bool:
    return False


def measured(arms: Sequence[Arm], plan: Plan = PLAN) -> Measurement:
    async def run() -> Measurement:
        async with Generator() as generator, running(arms):
            return await measure(arms, plan, generator, progress=After(), is_precise=never)

    return asyncio.run(run())


def descendants() -> set[psutil.Process]:
    return {child for child in psutil.Process().children(recursive=True) if child.status() != psutil.STATUS_ZOMBIE}


@pytest.fixture(autouse=True)
def _other_children() -> None:
    """Record the children that exist already: servers that tests share."""
    OTHER_CHILDREN.clear()
    OTHER_CHILDREN.update(descendants())


def own_children() -> list[psutil.Process]:
    return list(descendants() - OTHER_CHILDREN)


def test_two_arms_are_measured_alternately_and_their_difference_is_detected() -> None:
    result = measured([arm("baseline"), arm("pooling", ["pooling"])])
    assert result.failure == ""
    assert len(result.rounds) == 4
    assert is_precise("queries_per_request", result.rounds, off="baseline", on="pooling")
    outcome = compared(BY_NAME["pooling"], result, sides={"baseline": frozenset(), "pooling": frozenset({"pooling"})})
    assert outcome.metrics["queries_per_request"].off == pytest.approx(30)
    assert outcome.metrics["queries_per_request"].on == pytest.approx(3)
    assert outcome.metrics["queries_per_request"].verdict == "helps"
    assert outcome.metrics["bytes_per_request"].ratio == pytest.approx(9.2, abs=0.5)
    assert (outcome.metrics["p50_s"].ratio or 0) > 2
    assert "connects_per_request" not in outcome.metrics  # this service has no such metric
    assert own_children() == []


def test_an_arm_that_dies_ends_the_measuring_and_what_was_measured_stays() -> None:
    doomed = arm("pooling", ["pooling"])

    def kill() -> None:
        port = doomed.url.rpartition(":")[2]
        for child in own_children():
            if port in child.cmdline() and "lab.arms.process_guard" not in child.cmdline():
                child.kill()

    async def run() -> Measurement:
        async with Generator() as generator, running([arm("baseline"), doomed]) as arms:
            return await measure(arms, ENDLESS, generator, progress=After(kill), is_precise=never)

    result = asyncio.run(run())
    assert "arm pooling" in result.failure
    assert 2 <= len(result.rounds) < 10
    assert not result.is_interrupted


def test_an_arm_that_does_not_start_says_why() -> None:
    with pytest.raises(ArmFailed, match=r"arm broken ended with code 1(.|\n)*the database is on fire"):
        measured([arm("baseline"), arm("broken")])
    assert own_children() == []


def test_a_cancelled_measurement_keeps_its_rounds_and_leaves_no_process() -> None:
    async def run() -> Measurement:
        measuring = asyncio.current_task()
        assert measuring is not None
        async with Generator() as generator, running([arm("baseline"), arm("pooling", ["pooling"])]) as arms:
            return await measure(arms, ENDLESS, generator, progress=After(measuring.cancel), is_precise=never)

    result = asyncio.run(run())
    assert result.is_interrupted
    assert len(result.rounds) == 2
    assert own_children() == []


def test_an_arm_gets_its_techniques_and_ports_and_keeps_the_rest_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TECHNIQUES", "all")
    monkeypatch.setenv("LOG_LEVEL", "WARNING")
    environment = ArmSpec(name="x", techniques=frozenset({"pooling", "indexes"})).environment(
        metrics_port=1234, data_dir=Path("d"), token="t"
    )
    assert environment["TECHNIQUES"] == "indexes,pooling"
    assert environment["OTEL_EXPORTER_PROMETHEUS_PORT"] == "1234"
    assert environment["LOG_LEVEL"] == "WARNING"
    assert (
        ArmSpec(name="x", techniques=frozenset()).environment(metrics_port=1, data_dir=Path(), token="")["TECHNIQUES"]
        == "none"
    )
