"""A cached departure board compared with a bare route that sends the same bytes, and with fastapi-cache2.

One worker each, the same client, alternating rounds. The worker is the bottleneck, so the throughput is the inverse of
its CPU time per request. Every ratio is a median over rounds.
"""

import sys
from pathlib import Path
from statistics import median
from typing import Final

from rich.console import Console
from rich.table import Table

from bench.cached_board import PATH, QUERY
from bench.competitor import CompetitorSpec, measured

STARTS: Final = 3
ROUNDS: Final = 3
"""Per start."""
REQUESTS: Final = 600
FEW_REQUESTS: Final = 16
"""For the variant that takes hundreds of times as long."""

OF_BARE: Final = 0.85
TIMES_LIBRARY: Final = 3.0


def main(data_dir: Path, console: Console) -> bool:
    """Print the table; return whether the goals are met."""
    wanted = {
        (variant, coding): _entry(variant, title, coding, data_dir)
        for coding in ("identity", "zstd")
        for variant, title in (
            (f"bare-{coding}", "bare Starlette route"),
            (f"bare-headers-{coding}", "bare Starlette route with all headers of ours"),
            ("ours-uninstrumented", "cached board without instrumentation"),
            ("ours", "the same with all instrumentation"),
        )
    } | {
        ("fastapi-cache2", "identity"): _entry(
            "fastapi-cache2", "fastapi-cache2 in memory, uninstrumented", "identity", data_dir
        )
    }
    found = dict(zip(wanted, measured(list(wanted.values()), starts=STARTS, rounds=ROUNDS), strict=True))
    bare = {coding: found[f"bare-{coding}", coding] for coding in ("identity", "zstd")}
    ours = {coding: found["ours", coding] for coding in bare}
    library = found["fastapi-cache2", "identity"]

    table = Table(title="A departure board from the cache of the process")
    for column in ("variant", "coding", "CPU per request", "throughput of the bare route kept"):
        table.add_column(column, justify="left" if column in {"variant", "coding"} else "right")
    for coding, reference in bare.items():
        others = [found[f"bare-headers-{coding}", coding], found["ours-uninstrumented", coding], ours[coding]]
        if coding == "identity":
            others.append(library)
        for one in (reference, *others):
            share = median(one.kept(reference))
            table.add_row(one.title, coding, f"{one.microseconds:,.0f} µs", f"{share:.3f}")
    console.print(table)
    met = []
    for coding, reference in bare.items():
        share = median(ours[coding].kept(reference))
        met.append(share >= OF_BARE)
        console.print(f"{share:.2f} of the bare route's throughput, {coding}; goal {OF_BARE:.2f}: {_verdict(met[-1])}")
    times = median(ours["identity"].kept(library))
    met.append(times >= TIMES_LIBRARY)
    console.print(f"{times:,.0f} times fastapi-cache2's throughput; goal {TIMES_LIBRARY:.0f}: {_verdict(met[-1])}")
    return all(met)


def _entry(variant: str, title: str, coding: str, data_dir: Path) -> CompetitorSpec:
    return CompetitorSpec(
        title=title,
        command=[sys.executable, "-m", "bench.cached_board", variant, str(data_dir)],
        path=f"{PATH}?{QUERY}",
        requests=FEW_REQUESTS if variant == "fastapi-cache2" else REQUESTS,
        accept_encoding=coding,
    )


def _verdict(is_met: bool) -> str:
    return "met" if is_met else "missed"
