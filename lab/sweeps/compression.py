"""The sweep of content codings and levels: CPU, bytes, and the time to the last byte on links of different speed."""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import httpx

from lab.analysis.sweep_result import SweepResult
from lab.analysis.transfer import LINKS_BIT_PER_S, CodedBodies
from lab.arms.arms import Arm, ArmSpec, running
from lab.core.errors import LabError
from lab.measure.rounds import Progress
from lab.sweeps.coding import CODINGS, Compress, cpu_s
from lab.sweeps.compression_curves import curves, tables

TARGETS: Final = {
    "one airport": "/airports/JFK",
    "10 rows": "/flights?origin=JFK&date_from=2013-12-01&date_to=2013-12-31&limit=10",
    "50 rows": "/flights?origin=JFK&date_from=2013-12-01&date_to=2013-12-31&limit=50",
    "a board": "/airports/JFK/departures?date=2013-12-31",
    "500 rows": "/flights?origin=JFK&date_from=2013-12-01&date_to=2013-12-31&limit=500",
}
"""Requests whose responses are compressed, from small to large."""


async def compression_sweep(*, data_dir: Path, progress: Progress) -> SweepResult:
    """Measure the service's own responses; raise `LabError` if it does not serve them."""
    coded: list[CodedBodies] = []
    is_interrupted = False
    try:
        progress.status("fetching responses of the service")
        bodies = await _bodies(data_dir)
        coded.append(_coded("identity", None, bodies))
        for coding, (_, levels) in CODINGS.items():
            progress.status(f"compressing with {coding}")
            coded += [await asyncio.to_thread(_coded, coding, level, bodies) for level in levels]
    except asyncio.CancelledError:
        is_interrupted = True
    return sweep_result(coded).model_copy(update={"is_interrupted": is_interrupted})


def sweep_result(coded: Sequence[CodedBodies]) -> SweepResult:
    recommendation, reason = recommended(coded) if len(coded) > 1 else (None, "no content coding was measured")
    return SweepResult(
        name="compression",
        question="Which content coding, at which level, for responses of which size?",
        setting="coding and level",
        tables=tables(coded, recommendation),
        curves=curves(coded, recommendation),
        recommendation=recommendation,
        reason=reason,
        notes=["Times are computed as CPU time plus transfer time; the delay of a link is the same for all codings."],
    )


def recommended(coded: Sequence[CodedBodies]) -> tuple[str, str]:
    """Return the coding with the least regret (its largest factor to the fastest coding, over all links)."""
    fastest = {link: min(coded, key=lambda each: each.typical_s(link)) for link in LINKS_BIT_PER_S}
    regret = {
        each.name: max(each.typical_s(link) / best.typical_s(link) for link, best in fastest.items()) for each in coded
    }
    chosen = min(coded, key=lambda each: regret[each.name])
    worst = max(fastest, key=lambda link: chosen.typical_s(link) / fastest[link].typical_s(link))
    reason = f"{chosen.bytes_share:.0%} of the bytes for {chosen.cpu_per_mb_s * 1e3:.1f} ms of CPU per MB"
    if fastest[worst] is chosen:
        return chosen.name, f"{reason}; the fastest on every link"
    return chosen.name, (
        f"{reason}. On no link does it take more than {regret[chosen.name]:.2f} times as long as the fastest coding, "
        f"which is {fastest[worst].name} on {worst}"
    )


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
            raise LabError(f"the service does not serve the responses to compress: {error!r}") from error


def _coded(coding: str, level: int | None, bodies: Mapping[str, bytes]) -> CodedBodies:
    compress: Compress = (lambda body: body) if level is None else CODINGS[coding][0](level)
    return CodedBodies(
        coding=coding,
        level=level,
        before_bytes={name: len(body) for name, body in bodies.items()},
        after_bytes={name: len(compress(body)) for name, body in bodies.items()},
        cpu_s={name: 0.0 if level is None else cpu_s(compress, body) for name, body in bodies.items()},
    )
