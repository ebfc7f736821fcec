"""The sweep of the size of the data, from 10 % of the flights to all of them."""

import asyncio
import secrets
import shutil
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from lab.analysis.sweep_result import Axis, Column, Curve, Line, SweepResult, SweepTable
from lab.arms.arms import Arm, ArmSpec, running
from lab.arms.databases import DATABASES, scratch_directory
from lab.core.servers import EMBEDDED_ONLY
from lab.load.generator import Generator
from lab.measure.rounds import Progress
from lab.report.formatting import TIMES
from lab.run import RunOptions
from lab.sweeps.point import Point, SweepCell, measure, points_of, spread_note
from lab.traffic.popularity import FLIGHTS

QUESTION: Final = "Does the latency of a list grow with the number of flights?"
TENTHS: Final = (1, 2, 5, 10)
CLIENTS: Final = 2
FLAT: Final = 1.25
"""Growth over ten times the data up to which a variant counts as flat."""
VARIANTS: Final[Mapping[str, frozenset[str]]] = {
    "all rows, no indexes": frozenset({"pooling"}),
    "pages, no indexes": frozenset({"pooling", "pagination"}),
    "all rows, indexes": frozenset({"pooling", "indexes"}),
    "pages and indexes": frozenset({"pooling", "pagination", "indexes"}),
}
WHOLE_YEAR: Final = "/flights?origin=JFK&destination=LAX&sort=-scheduled_departure"
"""A list that grows with the data: one route over the whole year."""


async def data_size_sweep(*, options: RunOptions, seconds: float, progress: Progress) -> SweepResult:
    """Measure copies of the databases, which are removed afterwards."""
    curves: dict[str, list[Point]] = {variant: [] for variant in VARIANTS}
    is_interrupted = False
    try:
        async with scratch_directory(options.data_dir) as directory, Generator() as generator:
            for tenths in TENTHS:
                progress.status(f"copying {tenths * 10} % of the flights")
                part = await asyncio.to_thread(part_of, options.data_dir, directory / str(tenths), tenths=tenths)
                cells = {variant: _cell(techniques, part, tenths=tenths) for variant, techniques in VARIANTS.items()}
                async with running([cell.arm for cell in cells.values()]):
                    await measure([*cells.values()], generator, name="tenths", seconds=seconds, progress=progress)
                for variant, cell in cells.items():
                    curves[variant] += points_of([cell])
                shutil.rmtree(part)
    except asyncio.CancelledError:
        is_interrupted = True
    return sweep_result(curves).model_copy(update={"is_interrupted": is_interrupted})


def sweep_result(curves: Mapping[str, Sequence[Point]]) -> SweepResult:
    growth, recommendation, reason = recommended(curves)
    sizes = sorted({point.value for points in curves.values() for point in points})
    medians = {variant: {point.value: point.p50_s for point in points} for variant, points in curves.items()}
    every = [point for points in curves.values() for point in points]
    lines = [
        Line(name=variant, points=[(size * FLIGHTS / 10, median) for size, median in found.items() if median])
        for variant, found in medians.items()
    ]
    return SweepResult(
        name="data-size",
        question=QUESTION,
        setting="flights in the database",
        tables=[
            SweepTable(
                columns=[
                    Column(name="variant", title="p50 latency"),
                    *(Column(name=f"p50_s_{size}", title=f"{size}{TIMES}", unit="s") for size in sizes),
                    Column(name="growth", title="growth", unit="times"),
                ],
                rows=[
                    {"variant": variant, "growth": growth.get(variant)}
                    | {f"p50_s_{size}": found.get(size) for size in sizes}
                    for variant, found in medians.items()
                ],
                chosen=[position for position, variant in enumerate(medians) if variant == recommendation],
            )
        ],
        curves=[
            Curve(
                title="p50 latency",
                x=Axis(title="flights in the database"),
                y=Axis(title="latency", unit="s"),
                lines=[line for line in lines if line.points],
                caption="A level line is independent of the size of the data.",
            )
        ],
        recommendation=recommendation,
        reason=reason,
        notes=[
            f"Request: {WHOLE_YEAR}, {CLIENTS} concurrent clients.",
            *([spread_note(every)] if every else []),
        ],
    )


def part_of(data_dir: Path, target: Path, *, tenths: int) -> Path:
    """Create databases with this many tenths of the flights, spread over the year."""
    target.mkdir(parents=True)
    for name in DATABASES:
        with closing(sqlite3.connect(target / name, isolation_level=None)) as copy:
            copy.execute("PRAGMA journal_mode = OFF")
            copy.execute("ATTACH ? AS whole", (str((data_dir / name).resolve()),))
            version = copy.execute("PRAGMA whole.user_version").fetchone()[0]
            made = copy.execute(
                "SELECT type, name, sql FROM whole.sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
            ).fetchall()
            for _, table, statement in (each for each in made if each[0] == "table"):
                copy.execute(statement)
                some = f" WHERE id % 10 < {tenths:d}" if table == "flights" else ""
                copy.execute(f'INSERT INTO main."{table}" SELECT * FROM whole."{table}"{some}')  # noqa: S608 names from the schema
            for _, _, statement in (each for each in made if each[0] == "index"):
                copy.execute(statement)
            copy.execute(f"PRAGMA main.user_version = {version:d}")
            copy.execute("ANALYZE main")
            copy.execute("DETACH whole")
            copy.execute("PRAGMA journal_mode = WAL")
    return target


def recommended(curves: Mapping[str, Sequence[Point]]) -> tuple[dict[str, float], str | None, str]:
    """Return the growth of each variant, the fastest flat one, and the reason."""
    growth = {}
    for variant, points in curves.items():
        by_size = {point.value: point.p50_s for point in points}
        least, most = by_size.get(min(TENTHS)), by_size.get(max(TENTHS))
        if least and most:
            growth[variant] = most / least
    listed = ", ".join(f"{variant} {factor:.1f}{TIMES}" for variant, factor in growth.items())
    flat = [variant for variant, factor in growth.items() if factor <= FLAT]
    if not flat:
        return (
            growth,
            None,
            f"growth of the p50 latency over ten times the data: {listed}" if listed else "not measured",
        )
    fastest = min(flat, key=lambda variant: curves[variant][-1].p50_s or float("inf"))
    return growth, fastest, f"flat over ten times the data. Growth: {listed}"


def _cell(techniques: frozenset[str], data_dir: Path, *, tenths: int) -> SweepCell:
    arm = Arm(
        ArmSpec(
            name=f"data-size-{tenths}-{'-'.join(sorted(techniques))}", techniques=techniques, settings=EMBEDDED_ONLY
        ),
        data_dir=data_dir,
        token=secrets.token_hex(16),
        writes=False,
    )
    return SweepCell(arm=arm, value=tenths, clients=CLIENTS, target=WHOLE_YEAR)
