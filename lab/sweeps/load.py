"""Sweeps under load: a setting over its range at several concurrencies, and a recommended value."""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from lab.analysis.scalability import ScalabilityLaw, fitted
from lab.analysis.sweep_result import Axis, Column, Curve, Line, SweepResult, SweepTable
from lab.arms.arms import Arm, ArmSpec, running
from lab.load.generator import Generator
from lab.measure.rounds import Progress
from lab.report.formatting import quantity
from lab.run import RunOptions
from lab.sweeps.point import Point, SweepCell, measure, points_of, spread_note

ENOUGH: Final = 0.95
"""Throughput, as a share of the best, that is good enough; less if two passes differ by more.

The smallest such value is recommended."""
MAX_SPREAD: Final = 0.3
"""If two passes differ by more than this in the median, the machine was too busy for a recommendation."""
MIN_POINTS_FOR_LAW: Final = 3


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A setting, its values, and the traffic and concurrencies they are measured with."""

    name: str
    question: str
    variable: str
    """The environment variable; empty if `{value}` in the target is varied."""
    values: tuple[int, ...]
    clients: tuple[int, ...]
    techniques: frozenset[str]
    mix: str = ""
    others: str = ""
    """A kind of request that the rest of the mix delays; its latency is reported too."""
    target: str = ""
    settings: tuple[tuple[str, str], ...] = ()

    @property
    def setting(self) -> str:
        return self.variable or "limit"


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
        others="flight",
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


async def sweep_over(sweep: Sweep, *, options: RunOptions, seconds: float, progress: Progress) -> SweepResult:
    """Run the sweep; every value has its own arm, and all arms run during all measurements."""
    cells: list[SweepCell] = []
    is_interrupted = False
    try:
        arms = {value: _arm(sweep, value, options.data_dir) for value in sweep.values}
        progress.status(f"starting {', '.join(arm.name for arm in arms.values())}")
        async with Generator() as generator, running([*arms.values()]):
            cells += [_cell(sweep, arms[value], value, clients) for value in sweep.values for clients in sweep.clients]
            await measure(cells, generator, name=sweep.name, seconds=seconds, progress=progress)
    except asyncio.CancelledError:
        is_interrupted = True
    return sweep_result(sweep, points_of(cells)).model_copy(update={"is_interrupted": is_interrupted})


def sweep_result(sweep: Sweep, points: Sequence[Point]) -> SweepResult:
    recommendation, reason = recommended(sweep, points)
    chosen = [point for point in points if point.value == recommendation]
    law = _law(chosen)
    notes = [] if law is None else [_law_note(law, sweep, recommendation)]
    if points:
        notes.append(spread_note(points))
    return SweepResult(
        name=sweep.name,
        question=sweep.question,
        setting=sweep.setting,
        tables=[_table(sweep, points, recommendation)],
        curves=_curves_by_clients(sweep, points, recommendation, law)
        if len(sweep.clients) > 1
        else _curves_by_value(points),
        recommendation=None if recommendation is None else f"{sweep.setting} {recommendation}",
        reason=reason,
        notes=notes,
    )


def recommended(sweep: Sweep, points: Sequence[Point]) -> tuple[int | None, str]:
    """Return the smallest value that is good enough, and the reason."""
    served = [point for point in points if not point.errors and point.throughput_per_s]
    if not served:
        return None, "every value had failing requests"
    if not sweep.variable:
        rates = {point.value: point.throughput_per_s * point.value for point in served}
        unit = "rows per second"
    else:
        rates = {
            value: max(p.throughput_per_s for p in served if p.value == value) for value in {p.value for p in served}
        }
        unit = "responses per second"
    best = max(rates, key=lambda value: rates[value])
    spread = median(point.spread for point in served)
    if spread > MAX_SPREAD:
        return None, f"two passes of the same point differ by {spread:.0%} in the median: the machine was too busy"
    chosen = min(value for value, rate in rates.items() if rate >= min(ENOUGH, 1 - spread) * rates[best])
    reason = (
        f"{rates[chosen]:.0f} {unit}, the maximum"
        if chosen == best
        else f"{rates[chosen]:.0f} {unit}; the maximum is {rates[best]:.0f}, with {best}"
    )
    if not sweep.variable:
        page = next(point for point in served if point.value == chosen)
        reason += f". A page takes {quantity(page.p50_s, 's')} and has {quantity(page.bytes_per_request, 'bytes')}"
    law = _law([point for point in served if point.value == chosen])
    measured = max(p.clients for p in served if p.value == chosen)
    if law is not None and law.knee and law.knee < measured:
        reason += f". Throughput falls beyond about {law.knee:.0f} concurrent clients"
    return chosen, reason


def _law(points: Sequence[Point]) -> ScalabilityLaw | None:
    served = [point for point in points if point.throughput_per_s]
    if len(served) < MIN_POINTS_FOR_LAW:
        return None
    return fitted([p.clients for p in served], [p.throughput_per_s for p in served])


def _law_note(law: ScalabilityLaw, sweep: Sweep, value: int | None) -> str:
    peak = f"maximum at {law.knee:.0f} clients" if law.knee else "no maximum"
    return (
        f"Universal Scalability Law with {sweep.setting} {value}: {law.rate_per_s:.0f} responses per second for one "
        f"client, contention {law.contention:.1%}, coherence {law.coherence:.2%}, {peak}."
    )


def _table(sweep: Sweep, points: Sequence[Point], chosen: int | None) -> SweepTable:
    columns = [
        Column(name="value", title=sweep.setting),
        Column(name="clients", title="clients"),
        Column(name="throughput_per_s", title="throughput", unit="1/s"),
        Column(name="p50_s", title="p50", unit="s"),
        Column(name="p95_s", title="p95", unit="s"),
        *([Column(name="others_p95_s", title=f"{sweep.others}: p95", unit="s")] if sweep.others else []),
        Column(name="bytes_per_request", title="bytes", unit="bytes"),
        Column(name="cpu_per_request_s", title="CPU per request", unit="s"),
        Column(name="errors", title="errors"),
    ]
    rows = [{column.name: getattr(point, column.name) for column in columns} for point in points]
    return SweepTable(
        columns=columns,
        rows=rows,
        chosen=[position for position, point in enumerate(points) if point.value == chosen],
    )


def _curves_by_clients(
    sweep: Sweep, points: Sequence[Point], chosen: int | None, law: ScalabilityLaw | None
) -> list[Curve]:
    clients = Axis(title="concurrent clients")
    throughput = _lines(sweep, points, "throughput_per_s")
    if law is not None:
        law_points = [(float(number), law.throughput(number)) for number in sweep.clients]
        throughput.append(Line(name=f"scalability law for {chosen}", points=law_points, is_dashed=True))
    shown = [("p95_s", "p95 latency")]
    if sweep.others:
        shown.append(("others_p95_s", f"p95 latency of “{sweep.others}” requests"))
    return [
        Curve(title="responses per second", x=clients, y=Axis(title="responses", unit="1/s"), lines=throughput),
        *(
            Curve(title=title, x=clients, y=Axis(title="latency", unit="s"), lines=_lines(sweep, points, name))
            for name, title in shown
        ),
    ]


def _lines(sweep: Sweep, points: Sequence[Point], metric: str) -> list[Line]:
    lines = [
        Line(
            name=f"{sweep.setting} {value}",
            points=[
                (float(point.clients), figure)
                for point in points
                if point.value == value and (figure := getattr(point, metric))
            ],
        )
        for value in dict.fromkeys(point.value for point in points)
    ]
    return [line for line in lines if line.points]


def _curves_by_value(points: Sequence[Point]) -> list[Curve]:
    rows = Axis(title="rows per page")
    rates = [(float(point.value), point.throughput_per_s * point.value) for point in points if point.throughput_per_s]
    lines = {
        name: [(float(point.value), figure) for point in points if (figure := getattr(point, f"{name}_s"))]
        for name in ("p50", "p95")
    }
    return [
        Curve(
            title="rows per second",
            x=rows,
            y=Axis(title="rows", unit="1/s"),
            lines=[Line(name="rows per second", points=rates)] if rates else [],
            caption="For a client that reads the whole list.",
        ),
        Curve(
            title="latency of a page",
            x=rows,
            y=Axis(title="latency", unit="s"),
            lines=[Line(name=name, points=found) for name, found in lines.items() if found],
            caption="For a client that reads the first page.",
        ),
    ]


def _arm(sweep: Sweep, value: int, data_dir: Path) -> Arm:
    settings = dict(sweep.settings) | ({sweep.variable: str(value)} if sweep.variable else {})
    spec = ArmSpec(name=f"{sweep.name}-{value}", techniques=sweep.techniques, settings=settings)
    return Arm(spec, data_dir=data_dir, token=secrets.token_hex(16), writes=False)


def _cell(sweep: Sweep, arm: Arm, value: int, clients: int) -> SweepCell:
    target = sweep.target.format(value=value)
    return SweepCell(arm=arm, value=value, clients=clients, mix=sweep.mix, target=target, others=sweep.others)
