"""The sweep of the cache TTL: hit ratio against the staleness that clients observe.

Two processes of the service share a database but no cache, as two workers without Redis do. All writes go to one of
them, which invalidates its cache. The other one is not notified, so only the TTL bounds its staleness. Both are read at
the same times.
"""

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Final

from lab.analysis.staleness import StalenessStats
from lab.analysis.sweep_result import SweepResult
from lab.arms.arms import Arm, ArmSpec, running
from lab.arms.databases import DATABASES, clone_databases, scratch_directory
from lab.core.servers import EMBEDDED_ONLY
from lab.measure.rounds import Progress
from lab.run import RunOptions
from lab.sweeps.board_traffic import READS_PER_S, BoardTraffic
from lab.sweeps.load import ENOUGH
from lab.sweeps.ttl_curves import TtlPoint, curves, table

TTLS_S: Final = (1.0, 2.0, 5.0, 10.0, 20.0)
WRITES_PER_S: Final = (0.03, 0.2, 1.0)
"""Per board."""
INVALIDATED, TTL_ONLY = "invalidated", "TTL only"
TECHNIQUES: Final = frozenset({"pooling", "indexes", "eager_loading", "response_cache"})
SECONDS_FACTOR: Final = 8
"""Times the seconds of other sweeps' points: the rarest writes happen every half minute."""
MIN_TTLS: Final = 3
"""Each point lasts at least this many TTLs."""
SEED: Final = 1
READ_FROM_BOTH: Final = (
    f"Each board is read {READS_PER_S:g} times per second from both processes. “{INVALIDATED}”: the process that gets "
    f"the writes. “{TTL_ONLY}”: a process that shares its database but not its cache."
)
STALE: Final = (
    "A stale response lacks a write that was acknowledged before the request. For half a TTL after its end a response "
    "may still be served while it is recomputed."
)


async def ttl_sweep(*, options: RunOptions, seconds: float, progress: Progress) -> SweepResult:
    """Measure a copy of the database, which is removed afterwards."""
    points: list[TtlPoint] = []
    failures = 0
    is_interrupted = False
    try:
        async with scratch_directory(options.data_dir) as directory:
            progress.status("copying the database")
            await asyncio.to_thread(clone_databases, options.data_dir, directory, written=DATABASES[0])
            for ttl_s in TTLS_S:
                lasts_s = max(SECONDS_FACTOR * seconds, MIN_TTLS * ttl_s)
                progress.status(f"TTL {ttl_s:g} s, for {lasts_s:.0f} s")
                found, failed = await _points(ttl_s, directory, seconds=lasts_s)
                points += found
                failures += failed
    except asyncio.CancelledError:
        is_interrupted = True
    return sweep_result(points, failures=failures).model_copy(update={"is_interrupted": is_interrupted})


async def _points(ttl_s: float, directory: Path, *, seconds: float) -> tuple[list[TtlPoint], int]:
    token = secrets.token_hex(16)
    settings = EMBEDDED_ONLY | {"CACHE_TTL_S": f"{ttl_s:g}", "EDGE_URL": ""}
    arms = [
        Arm(ArmSpec(name=name, techniques=TECHNIQUES, settings=settings), data_dir=directory, token=token, writes=False)
        for name in ("invalidated", "ttl-only")
    ]
    async with running(arms):
        urls = dict(zip((INVALIDATED, TTL_ONLY), (arm.url for arm in arms), strict=True))
        async with aclosing(BoardTraffic(urls, written=INVALIDATED, token=token, seed=SEED)) as traffic:
            boards = await traffic.boards(WRITES_PER_S)
            stats = await traffic.run(boards, seconds=seconds)
        for arm in arms:
            arm.check()
    return [
        point
        for rate in WRITES_PER_S
        for process in (INVALIDATED, TTL_ONLY)
        if (point := _point(ttl_s, rate, process, stats.staleness.get((rate, process), StalenessStats()))) is not None
    ], stats.failures


def _point(ttl_s: float, rate: float, process: str, staleness: StalenessStats) -> TtlPoint | None:
    hit_ratio, stale_share = staleness.hit_ratio, staleness.stale_share
    if hit_ratio is None or stale_share is None:
        return None
    return TtlPoint(
        ttl_s=ttl_s,
        writes_per_s=rate,
        process=process,
        responses=len(staleness.ages_s),
        hit_ratio=hit_ratio,
        stale_share=stale_share,
        stale_p50_s=staleness.stale_age_s(0.5),
        stale_p95_s=staleness.stale_age_s(0.95),
        stale_most_s=staleness.stale_age_s(1.0),
    )


def sweep_result(points: Sequence[TtlPoint], *, failures: int = 0) -> SweepResult:
    chosen_s, reason = recommended(points)
    notes = [READ_FROM_BOTH, STALE]
    if failures:
        notes.append(f"Failed requests, not in the figures: {failures}.")
    return SweepResult(
        name="ttl",
        question="How long may a cache keep a response?",
        setting="CACHE_TTL_S",
        tables=[table(points, chosen_s)],
        curves=curves(points, invalidated=INVALIDATED, ttl_only=TTL_ONLY) if points else [],
        recommendation=None if chosen_s is None else f"CACHE_TTL_S {chosen_s:g}",
        reason=reason,
        notes=notes,
    )


def recommended(points: Sequence[TtlPoint]) -> tuple[float | None, str]:
    """Return the shortest TTL with nearly the best hit ratio without invalidation, and the reason."""
    ttl_only = [point for point in points if point.process == TTL_ONLY]
    if not ttl_only:
        return None, "nothing was measured"
    ttls = sorted({point.ttl_s for point in ttl_only})
    hits = {ttl_s: _hit_ratio([point for point in ttl_only if point.ttl_s == ttl_s]) for ttl_s in ttls}
    chosen = min(ttl_s for ttl_s in ttls if hits[ttl_s] >= ENOUGH * max(hits.values()))
    oldest = {ttl_s: max((p.stale_most_s or 0.0 for p in ttl_only if p.ttl_s == ttl_s), default=0.0) for ttl_s in ttls}
    reason = f"{hits[chosen]:.0%} hits, and no response was more than {oldest[chosen]:.1f} s stale"
    if chosen != ttls[-1]:
        reason += (
            f"; {ttls[-1]:g} s gives {hits[ttls[-1]]:.0%} hits, with responses up to {oldest[ttls[-1]]:.1f} s stale"
        )
    of_invalidated = [point for point in points if point.process == INVALIDATED]
    stale = round(sum(point.stale_share * point.responses for point in of_invalidated))
    responses = sum(point.responses for point in of_invalidated)
    if responses:
        reason += f". With invalidation, {stale} of {responses} responses were stale, at any TTL"
        if not stale:
            reason += ": a longer TTL has no cost there"
    return chosen, reason


def _hit_ratio(points: Sequence[TtlPoint]) -> float:
    return sum(point.hit_ratio * point.responses for point in points) / sum(point.responses for point in points)
