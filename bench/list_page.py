"""A page of the flight list over 10 % of the flights and over all of them.

`python -m bench.list_page VARIANT DATA_DIR` serves one variant over one data set, as `bench.arms` serves an arm.
"""

import asyncio
import shutil
import sys
from pathlib import Path
from statistics import median
from typing import Final

import httpx
from prometheus_client import CollectorRegistry
from rich.console import Console
from rich.table import Table

from bench.arms import Arm, serve
from bench.cached_board import INSTRUMENTED, UNINSTRUMENTED
from bench.competitor import CompetitorSpec, measured
from lab.sweeps.data_size import part_of
from service.app import create_app
from service.settings import Settings
from service.techniques import NAMES

STARTS: Final = 3
ROUNDS: Final = 3
"""Per start."""
QUERY: Final = "origin=JFK&destination=LAX&sort=-scheduled_departure"
PAGE: Final = "&limit=50"
DEEP: Final = 15
"""Number of the deep page."""

VARIANTS: Final = {
    "keyset and indexes": frozenset(NAMES),
    "keyset without indexes": frozenset(NAMES) - {"indexes"},
    "all rows, with indexes": frozenset(NAMES) - {"pagination"},
}
REQUESTS: Final = {"keyset and indexes": 200, "keyset without indexes": 8, "all rows, with indexes": 8}
FLAT: Final = 1.25
"""Growth over ten times the data up to which a variant counts as flat."""


def tenth(data_dir: Path) -> Path:
    """Create databases with every tenth flight, unless they exist; return their directory."""
    target = data_dir / "bench-tenth"
    if not target.exists():
        draft = target.with_suffix(".draft")
        shutil.rmtree(draft, ignore_errors=True)
        part_of(data_dir, draft, tenths=1).replace(target)
    return target


def paths(data_dir: Path) -> dict[str, str]:
    """Return the path of the first page and of a deep one, found by following `next`."""

    async def deep_path() -> str:
        settings = Settings.model_validate({"techniques": frozenset(NAMES), "data_dir": data_dir})
        app = create_app(settings, registry=CollectorRegistry(), telemetry=UNINSTRUMENTED)
        transport = httpx.ASGITransport(app=app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://bench", timeout=60) as client,
        ):
            path = first
            for _ in range(DEEP - 1):
                cursor = (await client.get(path)).raise_for_status().json()["next"]
                path = f"{first}&cursor={cursor}"
            return path

    first = f"/flights?{QUERY}{PAGE}"
    return {"first page": first, f"page {DEEP}": asyncio.run(deep_path())}


def main(data_dir: Path, console: Console) -> bool:
    """Print the table; return whether a page by keyset and indexes is flat."""
    sizes = {"a tenth": tenth(data_dir), "all": data_dir}
    pages = {size: paths(directory) for size, directory in sizes.items()}
    entries: dict[tuple[str, str, str], CompetitorSpec] = {}
    for variant in VARIANTS:
        for size, directory in sizes.items():
            paths = pages[size] if variant != "all rows, with indexes" else {"no limit": f"/flights?{QUERY}"}
            for page, path in paths.items():
                entries[variant, page, size] = CompetitorSpec(
                    title=variant,
                    command=[sys.executable, "-m", "bench.list_page", variant, str(directory)],
                    path=path,
                    requests=REQUESTS[variant],
                )
    found = dict(zip(entries, measured(list(entries.values()), starts=STARTS, rounds=ROUNDS), strict=True))
    table = Table(title="The flight list over a tenth of the flights, and over all 336,776")
    for column in ("variant", "page", "a tenth", "all", "times"):
        table.add_column(column, justify="left" if column in {"variant", "page"} else "right")
    times: dict[tuple[str, str], float] = {}
    for variant, page, size in entries:
        if size == "all":
            small, whole = found[variant, page, "a tenth"], found[variant, page, size]
            times[variant, page] = median(small.kept(whole))
            cells = (f"{one.microseconds / 1000:,.2f} ms" for one in (small, whole))
            table.add_row(variant, page, *cells, f"{times[variant, page]:.2f}")
    console.print(table)
    worst = max(value for (variant, _), value in times.items() if variant == "keyset and indexes")
    is_flat = worst <= FLAT
    verdict = "met" if is_flat else "missed"
    console.print(f"keyset and indexes: {worst:.2f} times the time over ten times the data; goal {FLAT}: {verdict}")
    return is_flat


if __name__ == "__main__":
    name, directory = sys.argv[1:]
    settings = Settings.model_validate({"techniques": VARIANTS[name], "data_dir": Path(directory)})
    serve(
        Arm(
            name=name,
            title=name,
            build=lambda: create_app(settings, registry=CollectorRegistry(), telemetry=INSTRUMENTED),
        )
    )
