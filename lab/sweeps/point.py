"""The points of a curve, measured in two passes, forwards and backwards, to separate them from drift."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Final

from pydantic import BaseModel

from lab.arms.arms import Arm
from lab.load.generator import Generator, LoadCommand
from lab.load.load_model import ClosedLoop, Phase
from lab.load.recording import Recording
from lab.measure.metric import ArmRound, metric_named
from lab.measure.rounds import Progress
from lab.workload.workload import Workload

WARM_UP_S: Final = 1.0
PASSES: Final = 2
POINT_METRICS: Final = ("p50_s", "p95_s", "bytes_per_request", "cpu_per_request_s")


class Point(BaseModel):
    """One value at one concurrency."""

    value: int
    clients: int
    throughput_per_s: float
    p50_s: float | None
    p95_s: float | None
    others_p95_s: float | None = None
    bytes_per_request: float | None
    cpu_per_request_s: float | None
    errors: int
    spread: float = 0.0
    """Difference of the passes' throughputs, as a share of their mean."""


@dataclass(kw_only=True)
class SweepCell:
    """A combination of arm, concurrency and traffic to measure, with its measurements so far."""

    arm: Arm
    value: int
    clients: int
    mix: str = ""
    target: str = ""
    others: str = ""
    """A kind of request whose latency is reported separately."""
    arm_rounds: list[ArmRound] = field(default_factory=list)

    @property
    def command(self) -> LoadCommand:
        """The command for the warm-up."""
        return LoadCommand(
            arm=self.arm.name,
            url=self.arm.url,
            model=ClosedLoop(clients=self.clients),
            phase=Phase(duration_s=WARM_UP_S),
            stream=1,
            mix=self.mix,
            workload=Workload.of(self.target).encode() if self.target else "",
        )

    async def measure(self, generator: Generator, *, seconds: float) -> None:
        """Measure another pass, with a closed loop."""
        await generator.drive(self.command)
        before = await self.arm.snapshot()
        recording = await generator.drive(replace(self.command, phase=Phase(duration_s=seconds)))
        grown = (await self.arm.snapshot()).since(before)
        self.arm_rounds.append(
            ArmRound(open_loop=recording, closed_loop=recording, open_loop_delta=grown, closed_loop_delta=grown)
        )

    @property
    def point(self) -> Point | None:
        """All passes together; None before the first one."""
        if not self.arm_rounds:
            return None
        together = Recording(duration_s=0)
        for arm_round in self.arm_rounds:
            together.add(arm_round.open_loop)
        grown = self.arm_rounds[0].open_loop_delta
        for arm_round in self.arm_rounds[1:]:
            grown = grown.plus(arm_round.open_loop_delta)
        whole = ArmRound(open_loop=together, closed_loop=together, open_loop_delta=grown, closed_loop_delta=grown)
        rates = [arm_round.open_loop.throughput_per_s for arm_round in self.arm_rounds]
        mean = sum(rates) / len(rates)
        return Point(
            value=self.value,
            clients=self.clients,
            throughput_per_s=mean,
            others_p95_s=metric_named(f"{self.others}.p95_s").of(whole) if self.others else None,
            errors=together.server_errors,
            spread=(max(rates) - min(rates)) / mean if mean else 0.0,
            **{name: metric_named(name).of(whole) for name in POINT_METRICS},
        )


async def measure(
    cells: Sequence[SweepCell], generator: Generator, *, name: str, seconds: float, progress: Progress
) -> None:
    """Measure every cell in both passes; a cancellation keeps completed passes."""
    for number in range(PASSES):
        for cell in cells if number % 2 == 0 else reversed(cells):
            progress.status(f"pass {number + 1} of {PASSES}: {name} {cell.value}, {cell.clients} clients")
            await cell.measure(generator, seconds=seconds / PASSES)


def points_of(cells: Sequence[SweepCell]) -> list[Point]:
    return [point for cell in cells if (point := cell.point) is not None]


def spread_note(points: Sequence[Point]) -> str:
    """Return a note with the difference between the passes."""
    return (
        f"Every point was measured in {PASSES} passes, forwards and backwards. Their throughputs differ by "
        f"{median(point.spread for point in points):.0%} in the median and {max(point.spread for point in points):.0%} "
        "at most; smaller differences between points are not significant."
    )
