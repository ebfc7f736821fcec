"""The arms are profiled one after the other under the same load, and a failure costs nothing but the profile."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lab.core.errors import ArmFailed
from lab.core.snapshot import Snapshot
from lab.load.generator import LoadCommand
from lab.load.recording import Recording
from lab.measure import profiling
from lab.measure.metric import ArmRound
from lab.measure.plan import Plan
from lab.measure.profiling import add_profiles
from lab.measure.rounds import CLOSED_STREAMS, Measurement, Round
from lab.profile.stacks import Sample
from tests.lab.known_result import recording


@dataclass(frozen=True)
class Arm:
    name: str
    url: str = "http://127.0.0.1:1"
    token: str = ""
    fails: bool = False

    def check(self) -> None:
        if self.fails:
            raise ArmFailed(self.name, "ended with code 1", "")

    async def snapshot(self) -> Snapshot:
        return Snapshot({})


@dataclass
class Load:
    """Sends nothing; the third step of an arm is its last one."""

    steps: list[tuple[str, int]] = field(default_factory=list)
    third: asyncio.Event = field(default_factory=asyncio.Event)

    async def drive(self, command: LoadCommand) -> Recording:
        self.steps.append((command.arm, command.stream))
        if len(self.steps) % 3 == 0:
            self.third.set()
        await asyncio.sleep(0)
        return recording(0.1, 1000)


class Cpu:
    def __init__(self, pids: Sequence[int]) -> None:
        self.pids = pids

    def since(self) -> tuple[dict[int, float], float]:
        return dict.fromkeys(self.pids, 2.0), 0.0


def profiled(monkeypatch: pytest.MonkeyPatch, *arms: Arm) -> tuple[Measurement, list[tuple[str, int]]]:
    async def sampled(pids: Sequence[int], *, seconds: float) -> Counter[Sample]:
        assert seconds == 5.0
        await load.third.wait()
        load.third.clear()
        return Counter({(pids[0], (f"f ({arms[pids[0]].name}.py:1)",)): 7})

    async def run() -> Measurement:
        await add_profiles(measurement, arms, plan, load, pids={arm.name: [n] for n, arm in enumerate(arms)})
        return measurement

    load = Load()
    monkeypatch.setattr(profiling, "sampled", sampled)
    monkeypatch.setattr(profiling, "CpuTimes", Cpu)
    plan = Plan(mix="boards", profile_s=5.0)
    round_ = Round(at_s=0.0, arms={arm.name: ArmRound(open_loop=Recording(duration_s=1.0)) for arm in arms})
    measurement = Measurement(rounds=[round_, round_])
    return asyncio.run(run()), load.steps


def test_both_arms_get_the_same_requests_until_the_sampler_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    measurement, steps = profiled(monkeypatch, Arm("off"), Arm("on"))
    streams = [CLOSED_STREAMS + 2 + step for step in range(3)]
    assert [stream for arm, stream in steps if arm == "off"][:3] == streams
    assert [stream for arm, stream in steps if arm == "on"][:3] == streams
    off = measurement.profiles["off"]
    assert (off.frames, off.samples, off.cpu_s) == (["off: f"], 7, 2.0)
    assert off.requests == 40 * sum(arm == "off" for arm, _ in steps)
    assert measurement.profiles["on"].frames == ["on: f"]


def test_without_py_spy_the_rounds_are_kept_and_the_reason_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    measurement = Measurement(rounds=[Round(at_s=0.0, arms={})])
    pids = {"off": [1], "on": [2]}
    arms = [Arm("off"), Arm("on")]
    asyncio.run(add_profiles(measurement, arms, Plan(mix="boards", profile_s=5.0), Load(), pids=pids))
    assert "py-spy is not installed" in measurement.not_profiled
    assert (measurement.profiles, len(measurement.rounds), measurement.failure) == ({}, 1, "")


def test_an_arm_that_ends_while_it_is_profiled_leaves_the_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    measurement, _ = profiled(monkeypatch, Arm("off"), Arm("on", fails=True))
    assert "on ended with code 1" in measurement.not_profiled
    assert (measurement.profiles, len(measurement.rounds)) == ({}, 2)
