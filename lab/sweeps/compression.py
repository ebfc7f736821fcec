"""The sweep of codings and levels: CPU against bytes, and when the last byte is there on links of different speed."""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import httpx

from lab.analysis.sweep_result import SweepResult
from lab.analysis.transfer import LINKS_BIT_PER_S, Coded
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
"""What the service answers, from small to large."""


async def compression_sweep(*, data_dir: Path, progress: Progress) -> SweepResult:
    """Return the curve over the service's own answers; raise `LabError` where it does not give them."""
    coded: list[Coded] = []
    is_interrupted = False
    try:
        progress.status("fetching what the service answers")
        bodies = await _bodies(data_dir)
        coded.append(_coded("identity", None, bodies))
        for coding, (_, levels) in CODINGS.items():
            progress.status(f"compressing with {coding}")
            coded += [await asyncio.to_thread(_coded, coding, level, bodies) for level in levels]
    except asyncio.CancelledError:
        is_interrupted = True
    return told(coded).model_copy(update={"is_interrupted": is_interrupted})


def told(coded: Sequence[Coded]) -> SweepResult:
    """Return the tables and curves, with the coding that is never far from the quickest."""
    recommendation, reason = recommended(coded) if len(coded) > 1 else (None, "no coding was measured")
    return SweepResult(
        name="compression",
        question="Which coding, at which level, for answers of which size?",
        setting="coding and level",
        tables=tables(coded, recommendation),
        curves=curves(coded, recommendation),
        recommendation=recommendation,
        reason=reason,
        notes=["Times are CPU and transfer together, computed from both; a link's delay is the same for all codings."],
    )


def recommended(coded: Sequence[Coded]) -> tuple[str, str]:
    """Return the one that is on no link far from the quickest there, and the reason."""
    quickest = {link: min(coded, key=lambda each: each.typical_s(link)) for link in LINKS_BIT_PER_S}
    regret = {
        each.name: max(each.typical_s(link) / best.typical_s(link) for link, best in quickest.items()) for each in coded
    }
    chosen = min(coded, key=lambda each: regret[each.name])
    worst = max(quickest, key=lambda link: chosen.typical_s(link) / quickest[link].typical_s(link))
    reason = f"{chosen.bytes_share:.0%} of the bytes for {chosen.cpu_per_mb_s * 1e3:.1f} ms of CPU per MB"
    if quickest[worst] is chosen:
        return chosen.name, f"{reason}; the quickest on every link"
    return chosen.name, (
        f"{reason}. On no link does it take more than {regret[chosen.name]:.2f} times as long as the quickest there, "
        f"which is {quickest[worst].name} on {worst}"
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
            raise LabError(f"the service does not answer what is to be compressed: {error!r}") from error


def _coded(coding: str, level: int | None, bodies: Mapping[str, bytes]) -> Coded:
    compress: Compress = (lambda body: body) if level is None else CODINGS[coding][0](level)
    return Coded(
        coding=coding,
        level=level,
        before_bytes={name: len(body) for name, body in bodies.items()},
        after_bytes={name: len(compress(body)) for name, body in bodies.items()},
        cpu_s={name: 0.0 if level is None else cpu_s(compress, body) for name, body in bodies.items()},
    )
