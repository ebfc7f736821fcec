"""The points of a curve: every one measured in two passes, forwards and backwards, so that no drift looks like one."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Final

from pydantic import BaseModel

from lab.arms.arms import Arm
from lab.load.generator import Generator, Order
from lab.load.load_model import ClosedLoop, Stretch
from lab.load.recording import Recording
from lab.measure.metric import Slot, metric_named
from lab.measure.rounds import Watch

WARM_UP_S: Final = 1.0
PASSES: Final = 2
POINT_METRICS: Final = ("p50_s", "p95_s", "bytes_per_response", "cpu_per_request_s")


class Point(BaseModel):
    """What one value showed at one concurrency."""

    value: int
    clients: int
    throughput_per_s: float
    p50_s: float | None
    p95_s: float | None
    others_p95_s: float | None = None
    bytes_per_response: float | None
    cpu_per_request_s: float | None
    errors: int
    spread: float = 0.0
    """By which share of their mean the passes' throughputs differ."""


@dataclass(kw_only=True)
class Spot:
    """A point to be: the arm that is asked, by how many clients at once, for what; and what it showed so far."""

    arm: Arm
    value: int
    clients: int
    mix: str = ""
    target: str = ""
    others: str = ""
    """A kind of request whose latency is told apart."""
    slots: list[Slot] = field(default_factory=list)

    @property
    def order(self) -> Order:
        """What the load generator is told, to warm the arm."""
        return Order(
            arm=self.arm.name,
            url=self.arm.url,
            pace=ClosedLoop(clients=self.clients),
            stretch=Stretch(duration_s=WARM_UP_S),
            stream=1,
            mix=self.mix,
            targets=(("GET", self.target),) if self.target else (),
        )

    async def measure(self, generator: Generator, *, seconds: float) -> None:
        """Measure it once more, with clients that ask again as soon as they are answered."""
        await generator.drive(self.order)
        before = await self.arm.snapshot()
        recording = await generator.drive(replace(self.order, stretch=Stretch(duration_s=seconds)))
        grown = (await self.arm.snapshot()).since(before)
        self.slots.append(Slot(opened=recording, closed=recording, inside_opened=grown, inside_closed=grown))

    @property
    def point(self) -> Point | None:
        """What all passes showed together; None before the first one."""
        if not self.slots:
            return None
        together = Recording(duration_s=0)
        for slot in self.slots:
            together.add(slot.opened)
        grown = self.slots[0].inside_opened
        for slot in self.slots[1:]:
            grown = grown.plus(slot.inside_opened)
        whole = Slot(opened=together, closed=together, inside_opened=grown, inside_closed=grown)
        rates = [slot.opened.throughput_per_s for slot in self.slots]
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


async def measure(spots: Sequence[Spot], generator: Generator, *, name: str, seconds: float, watch: Watch) -> None:
    """Measure every spot in both passes; a spot keeps what it showed when this is cancelled."""
    for number in range(PASSES):
        for spot in spots if number % 2 == 0 else reversed(spots):
            watch.phase(f"pass {number + 1} of {PASSES}: {name} {spot.value}, {spot.clients} clients")
            await spot.measure(generator, seconds=seconds / PASSES)


def points_of(spots: Sequence[Spot]) -> list[Point]:
    """Return the points that were measured."""
    return [point for spot in spots if (point := spot.point) is not None]


def said_of_spread(points: Sequence[Point]) -> str:
    """Return how far the passes differ: smaller differences between points say nothing."""
    return (
        f"Every point was measured in {PASSES} passes, forwards and backwards. Their throughputs differ by "
        f"{median(point.spread for point in points):.0%} in the median and {max(point.spread for point in points):.0%} "
        "at most; smaller differences between points say nothing."
    )
