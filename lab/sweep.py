"""Sweeps: one setting over its range, a curve, and a recommendation with its reason."""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from pydantic import BaseModel

from lab.arms import Arm, ArmSpec, running
from lab.errors import UnknownExperiment
from lab.generator import Generator, Order
from lab.metric import Slot, metric_named
from lab.pace import ClosedLoop, Stretch
from lab.rounds import Watch
from lab.scalability import fitted

ENOUGH: Final = 0.95
"""A setting that reaches this share of the best is as good, and the smaller one is chosen."""
WARM_UP_S: Final = 1.0
POINT_METRICS: Final = ("p50_s", "p95_s", "bytes_per_response", "cpu_per_request_s")


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A setting, its values, and the traffic and concurrencies under which it is tried."""

    name: str
    question: str
    variable: str
    """The environment variable, or empty where `{value}` in the target is swept."""
    values: tuple[int, ...]
    clients: tuple[int, ...]
    techniques: frozenset[str]
    mix: str = ""
    target: str = ""
    settings: tuple[tuple[str, str], ...] = ()


SWEEPS: Final = (
    Sweep(
        name="pool-size",
        question="How many database connections does the service need?",
        variable="POOL_SIZE",
        values=(1, 2, 4, 8, 16),
        clients=(1, 2, 4, 8, 16, 32),
        techniques=frozenset({"pooling", "indexes", "eager_loading"}),
        mix="single rows",
        settings=(("POOL_MAX_OVERFLOW", "0"), ("POOL_TIMEOUT_S", "30")),
    ),
    Sweep(
        name="threads",
        question="How many threads should search itineraries?",
        variable="OFFLOAD_THREADS",
        values=(1, 2, 4, 8),
        clients=(1, 2, 4, 8),
        techniques=frozenset({"pooling", "indexes", "offload"}),
        mix="itineraries and flights",
    ),
    Sweep(
        name="page-size",
        question="How many rows should a page have?",
        variable="",
        values=(10, 25, 50, 100, 200, 500),
        clients=(4,),
        techniques=frozenset({"pooling", "indexes", "pagination", "deferred_columns"}),
        target="/flights?origin=JFK&date_from=2013-12-01&date_to=2013-12-31&limit={value}",
    ),
)


class Point(BaseModel):
    """What one value showed at one concurrency."""

    value: int
    clients: int
    throughput_per_s: float
    p50_s: float | None
    p95_s: float | None
    bytes_per_response: float | None
    cpu_per_request_s: float | None
    errors: int


class SweepResult(BaseModel):
    """The points of a sweep and what they say."""

    name: str
    question: str
    variable: str
    points: list[Point]
    recommendation: int | None
    reason: str
    is_interrupted: bool = False


def sweep_named(name: str) -> Sweep:
    """Return the sweep; raise `UnknownExperiment` for any other name."""
    known = {sweep.name: sweep for sweep in SWEEPS}
    if name not in known:
        raise UnknownExperiment({name}, [*known, "compression", "data-size"])
    return known[name]


async def sweep_over(sweep: Sweep, *, data_dir: Path, seconds: float, watch: Watch) -> SweepResult:
    """Return the curve; every value runs on an arm of its own, all concurrencies on the same one."""
    points: list[Point] = []
    is_interrupted = False
    try:
        async with Generator() as generator:
            for value in sweep.values:
                async with running([_arm(sweep, value, data_dir)]) as (arm,):
                    for clients in sweep.clients:
                        watch.phase(f"{sweep.name} {value}, {clients} clients")
                        points.append(
                            await measured_point(sweep, arm, generator, value=value, clients=clients, seconds=seconds)
                        )
    except asyncio.CancelledError:
        is_interrupted = True
    recommendation, reason = recommended(sweep, points)
    return SweepResult(
        name=sweep.name,
        question=sweep.question,
        variable=sweep.variable or "limit",
        points=points,
        recommendation=recommendation,
        reason=reason,
        is_interrupted=is_interrupted,
    )


def recommended(sweep: Sweep, points: Sequence[Point]) -> tuple[int | None, str]:
    """Return the smallest value that is as good as the best, and why."""
    served = [point for point in points if not point.errors]
    if not served:
        return None, "no value was measured without failing requests"
    if not sweep.variable:
        rates = {point.value: point.throughput_per_s * point.value for point in served}
        unit = "rows per second"
    else:
        rates = {
            value: max(p.throughput_per_s for p in served if p.value == value) for value in {p.value for p in served}
        }
        unit = "answers per second"
    best = max(rates, key=lambda value: rates[value])
    chosen = min(value for value, rate in rates.items() if rate >= ENOUGH * rates[best])
    reason = f"{rates[chosen]:.0f} {unit}; the most was {rates[best]:.0f}, with {best}"
    curve = [point for point in served if point.value == chosen]
    if len(curve) >= 3:
        knee = fitted([p.clients for p in curve], [p.throughput_per_s for p in curve]).knee
        measured = max(p.clients for p in curve)
        reason += (
            f". More than about {knee:.0f} clients at once slow each other down" if knee and knee < measured else ""
        )
    return chosen, reason


def _arm(sweep: Sweep, value: int, data_dir: Path) -> Arm:
    settings = dict(sweep.settings) | ({sweep.variable: str(value)} if sweep.variable else {})
    spec = ArmSpec(name=f"{sweep.name}-{value}", techniques=sweep.techniques, settings=settings)
    return Arm(spec, data_dir=data_dir, token=secrets.token_hex(16), writes=False)


async def measured_point(
    sweep: Sweep, arm: Arm, generator: Generator, *, value: int, clients: int, seconds: float
) -> Point:
    """Return what the arm shows with so many clients that ask again as soon as they are answered."""
    order = Order(
        arm=arm.name,
        url=arm.url,
        pace=ClosedLoop(clients=clients),
        stretch=Stretch(duration_s=WARM_UP_S),
        stream=1,
        mix=sweep.mix,
        targets=(("GET", sweep.target.format(value=value)),) if sweep.target else (),
    )
    await generator.drive(order)
    before = await arm.snapshot()
    recording = await generator.drive(replace(order, stretch=Stretch(duration_s=seconds)))
    grown = (await arm.snapshot()).since(before)
    slot = Slot(opened=recording, closed=recording, inside_opened=grown, inside_closed=grown)
    seen = {name: metric_named(name).of(slot) for name in POINT_METRICS}
    return Point(
        value=value,
        clients=clients,
        throughput_per_s=recording.throughput_per_s,
        errors=recording.server_errors,
        **seen,
    )
