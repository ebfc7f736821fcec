"""The sweep of the data's size: from a tenth of the year's flights to all of them, for a list as people ask for it."""

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
from lab.arms.databases import DATABASES
from lab.load.generator import Generator
from lab.measure.rounds import Progress
from lab.report.formatting import TIMES
from lab.sweeps.point import Point, SweepCell, measure, points_of, said_of_spread
from lab.sweeps.scratch import scratch
from lab.traffic.popularity import FLIGHTS

QUESTION: Final = "Does a list take longer the more flights there are?"
TENTHS: Final = (1, 2, 5, 10)
CLIENTS: Final = 2
FLAT: Final = 1.25
"""Over ten times the data, an answer that takes no longer than so many times as long is called flat."""
WAYS: Final[Mapping[str, frozenset[str]]] = {
    "all rows, no indexes": frozenset({"pooling"}),
    "pages, no indexes": frozenset({"pooling", "pagination"}),
    "all rows, indexes": frozenset({"pooling", "indexes"}),
    "pages and indexes": frozenset({"pooling", "pagination", "indexes"}),
}
WHOLE_YEAR: Final = "/flights?origin=JFK&destination=LAX&sort=-scheduled_departure"
"""A list that grows with the data: one route, all year."""


async def data_size_sweep(*, data_dir: Path, seconds: float, progress: Progress) -> SweepResult:
    """Return the curves over copies of the databases that are removed afterwards."""
    curves: dict[str, list[Point]] = {way: [] for way in WAYS}
    is_interrupted = False
    try:
        async with scratch(data_dir) as directory, Generator() as generator:
            for tenths in TENTHS:
                progress.status(f"copying {tenths} tenths of the flights")
                part = await asyncio.to_thread(part_of, data_dir, directory / str(tenths), tenths=tenths)
                cells = {way: _cell(techniques, part, tenths=tenths) for way, techniques in WAYS.items()}
                async with running([cell.arm for cell in cells.values()]):
                    await measure([*cells.values()], generator, name="tenths", seconds=seconds, progress=progress)
                for way, cell in cells.items():
                    curves[way] += points_of([cell])
                shutil.rmtree(part)
    except asyncio.CancelledError:
        is_interrupted = True
    return shown(curves).model_copy(update={"is_interrupted": is_interrupted})


def shown(curves: Mapping[str, Sequence[Point]]) -> SweepResult:
    """Return the curves, and what stays flat."""
    growth, recommendation, reason = told(curves)
    sizes = sorted({point.value for points in curves.values() for point in points})
    medians = {way: {point.value: point.p50_s for point in points} for way, points in curves.items()}
    every = [point for points in curves.values() for point in points]
    lines = [
        Line(name=way, points=[(size * FLIGHTS / 10, median) for size, median in found.items() if median])
        for way, found in medians.items()
    ]
    return SweepResult(
        name="data-size",
        question=QUESTION,
        setting="flights in the database",
        tables=[
            SweepTable(
                columns=[
                    Column(name="way", title="median answer"),
                    *(Column(name=f"p50_s_{size}", title=f"{size}{TIMES}", unit="s") for size in sizes),
                    Column(name="growth", title="growth", unit="times"),
                ],
                rows=[
                    {"way": way, "growth": growth.get(way)} | {f"p50_s_{size}": found.get(size) for size in sizes}
                    for way, found in medians.items()
                ],
                chosen=[position for position, way in enumerate(medians) if way == recommendation],
            )
        ],
        curves=[
            Curve(
                title="half of the answers within",
                x=Axis(title="flights in the database"),
                y=Axis(title="latency", unit="s"),
                lines=[line for line in lines if line.points],
                caption="A level line does not care how much data there is.",
            )
        ],
        recommendation=recommendation,
        reason=reason,
        notes=[
            f"ReceivedRequest for: {WHOLE_YEAR}, by {CLIENTS} clients at once.",
            *([said_of_spread(every)] if every else []),
        ],
    )


def part_of(data_dir: Path, target: Path, *, tenths: int) -> Path:
    """Return a directory with the same databases and so many tenths of the flights, spread over the year."""
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
                copy.execute(f'INSERT INTO main."{table}" SELECT * FROM whole."{table}"{some}')  # noqa: S608 its names
            for _, _, statement in (each for each in made if each[0] == "index"):
                copy.execute(statement)
            copy.execute(f"PRAGMA main.user_version = {version:d}")
            copy.execute("ANALYZE main")
            copy.execute("DETACH whole")
            copy.execute("PRAGMA journal_mode = WAL")
    return target


def told(curves: Mapping[str, Sequence[Point]]) -> tuple[dict[str, float], str | None, str]:
    """Return how each way grows, the first way that does not, and the reason."""
    growth = {}
    for way, points in curves.items():
        by_size = {point.value: point.p50_s for point in points}
        least, most = by_size.get(min(TENTHS)), by_size.get(max(TENTHS))
        if least and most:
            growth[way] = most / least
    listed = ", ".join(f"{way} {factor:.1f} times" for way, factor in growth.items())
    flat = [way for way, factor in growth.items() if factor <= FLAT]
    if not flat:
        return growth, None, f"over ten times the data the median answer takes: {listed}" if listed else "not measured"
    quickest = min(flat, key=lambda way: curves[way][-1].p50_s or float("inf"))
    return growth, quickest, f"over ten times the data its median stays. Growth: {listed}"


def _cell(techniques: frozenset[str], data_dir: Path, *, tenths: int) -> SweepCell:
    embedded = dict.fromkeys(("DATABASE_URL", "DATABASE_UNINDEXED_URL", "DATABASE_REPLICA_URL"), "")
    arm = Arm(
        ArmSpec(name=f"data-size-{tenths}-{'-'.join(sorted(techniques))}", techniques=techniques, settings=embedded),
        data_dir=data_dir,
        token=secrets.token_hex(16),
        writes=False,
    )
    return SweepCell(arm=arm, value=tenths, clients=CLIENTS, target=WHOLE_YEAR)
