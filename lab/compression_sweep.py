"""The sweep of codings and levels: CPU against bytes, and when the last byte is there on links of different speed."""

import asyncio
import secrets
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import exp, log
from pathlib import Path
from statistics import fmean, median
from time import process_time
from typing import Final

import brotli  # type: ignore[import-untyped]  # ships no types
import httpx
import zstandard
from pydantic import BaseModel
from zlib_ng import zlib_ng

from lab.arms import Arm, ArmSpec, running
from lab.errors import LabError
from lab.rounds import Watch

LINKS_BIT_PER_S: Final = {"1 Mbit/s": 1e6, "10 Mbit/s": 1e7, "100 Mbit/s": 1e8, "1000 Mbit/s": 1e9}
TARGETS: Final = {
    "10 rows": "/flights?origin=JFK&date_from=2013-12-01&date_to=2013-12-31&limit=10",
    "50 rows": "/flights?origin=JFK&date_from=2013-12-01&date_to=2013-12-31&limit=50",
    "a board": "/airports/JFK/departures?date=2013-12-31",
    "500 rows": "/flights?origin=JFK&date_from=2013-12-01&date_to=2013-12-31&limit=500",
}
"""What the service answers, from small to large."""
ROUNDS: Final = 7
ROUND_BYTES: Final = 400_000
"""Compressed of each body in a round, so that small bodies are timed as well as large ones."""

Compress = Callable[[bytes], bytes]


def _zstd(level: int) -> Compress:
    return zstandard.ZstdCompressor(level=level).compress


def _brotli(level: int) -> Compress:
    return partial(brotli.compress, quality=level)


def _zlib(level: int) -> Compress:
    return partial(zlib.compress, level=level, wbits=31)


def _zlib_ng(level: int) -> Compress:
    return partial(zlib_ng.compress, level=level, wbits=31)


CODINGS: Final[Mapping[str, tuple[Callable[[int], Compress], Sequence[int]]]] = {
    "zstd": (_zstd, (1, 2, 3, 5, 7, 9, 12)),
    "br": (_brotli, (1, 2, 3, 4, 5, 7, 9)),
    "gzip by zlib": (_zlib, (1, 4, 6, 9)),
    "gzip by zlib-ng": (_zlib_ng, (1, 3, 5, 6, 9)),
}


class CompressionPoint(BaseModel):
    """One coding at one level, over all bodies."""

    coding: str
    level: int | None
    """None: not compressed."""
    bytes_share: float
    """Of the body that is left, in the geometric mean over the bodies."""
    cpu_per_mb_s: float
    total_s: dict[str, float]
    """CPU and transfer together, by link, in the geometric mean over the bodies."""

    @property
    def name(self) -> str:
        """The coding with its level."""
        return self.coding if self.level is None else f"{self.coding} {self.level}"


class CompressionResult(BaseModel):
    """The curve and what it says."""

    bodies: dict[str, int]
    """What was compressed, and its bytes."""
    points: list[CompressionPoint]
    best_by_link: dict[str, str]
    recommendation: str
    reason: str


async def compression_sweep(*, data_dir: Path, watch: Watch) -> CompressionResult:
    """Return the curve over the service's own answers; raise `LabError` where it does not give them."""
    watch.phase("fetching what the service answers")
    bodies = await _bodies(data_dir)
    points = await asyncio.to_thread(_points, bodies, watch)
    best, recommendation, reason = recommended(points)
    return CompressionResult(
        bodies={name: len(body) for name, body in bodies.items()},
        points=points,
        best_by_link=best,
        recommendation=recommendation,
        reason=reason,
    )


def recommended(points: Sequence[CompressionPoint]) -> tuple[dict[str, str], str, str]:
    """Return the quickest of each link, and of all the one that is never far from it, with the reason."""
    quickest = {link: min(points, key=lambda point: point.total_s[link]) for link in points[0].total_s}
    regret = {
        point.name: max(point.total_s[link] / best.total_s[link] for link, best in quickest.items()) for point in points
    }
    chosen = min(points, key=lambda point: regret[point.name])
    worst = max(quickest, key=lambda link: chosen.total_s[link] / quickest[link].total_s[link])
    reason = (
        f"{chosen.bytes_share:.0%} of the bytes for {chosen.cpu_per_mb_s * 1e3:.1f} ms of CPU per MB. On no link does "
        f"it take more than {regret[chosen.name]:.2f} times as long as the quickest there, which is "
        f"{quickest[worst].name} on {worst}"
    )
    return {link: best.name for link, best in quickest.items()}, chosen.name, reason


async def _bodies(data_dir: Path) -> dict[str, bytes]:
    spec = ArmSpec(
        name="compression-sweep", techniques=frozenset({"pooling", "indexes", "eager_loading", "pagination"})
    )
    arm = Arm(spec, data_dir=data_dir, token=secrets.token_hex(16), writes=False)
    async with running([arm]), httpx.AsyncClient(timeout=30, trust_env=False) as client:
        try:
            return {
                name: (await client.get(f"{arm.url}{target}")).raise_for_status().content
                for name, target in TARGETS.items()
            }
        except httpx.HTTPError as error:
            raise LabError(f"the service does not answer what is to be compressed: {error!r}") from error


def _points(bodies: Mapping[str, bytes], watch: Watch) -> list[CompressionPoint]:
    points = [_point("identity", None, bodies, lambda body: body)]
    for coding, (made, levels) in CODINGS.items():
        watch.phase(f"compressing with {coding}")
        points += [_point(coding, level, bodies, made(level)) for level in levels]
    return points


def _point(coding: str, level: int | None, bodies: Mapping[str, bytes], compress: Compress) -> CompressionPoint:
    seconds = {name: _cpu_s(compress, body) if level is not None else 0.0 for name, body in bodies.items()}
    left = {name: len(compress(body)) for name, body in bodies.items()}
    return CompressionPoint(
        coding=coding,
        level=level,
        bytes_share=_geometric_mean([left[name] / len(body) for name, body in bodies.items()]),
        cpu_per_mb_s=fmean(seconds[name] / len(body) * 1e6 for name, body in bodies.items()),
        total_s={
            link: _geometric_mean([seconds[name] + 8 * left[name] / rate for name in bodies])
            for link, rate in LINKS_BIT_PER_S.items()
        },
    )


def _cpu_s(compress: Compress, body: bytes) -> float:
    """Return the CPU seconds that compressing the body once takes: the median of rounds."""
    times = max(1, ROUND_BYTES // len(body))
    rounds = []
    for _ in range(ROUNDS):
        begun = process_time()
        for _ in range(times):
            compress(body)
        rounds.append((process_time() - begun) / times)
    return median(rounds)


def _geometric_mean(values: Sequence[float]) -> float:
    return exp(fmean(log(value) for value in values))
