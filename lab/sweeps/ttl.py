"""The sweep of the caches' time to live: the hit ratio that it buys, against the staleness that readers really see.

Two processes of the service share a database and no cache, as two workers without Redis do. All writes go to one of
them: it knows what they make stale and drops it. The other one never hears of them, so only its time to live ends a
stale answer; this is the case that a time to live is for. Both are read at the same moments.
"""

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.analysis.staleness import Observed
from lab.analysis.sweep_result import SweepResult
from lab.arms.arms import Arm, ArmSpec, running
from lab.arms.databases import DATABASES, clone_databases
from lab.demo import EMBEDDED
from lab.measure.rounds import Progress
from lab.sweeps.load import ENOUGH
from lab.sweeps.scratch import scratch
from lab.sweeps.ttl_curves import TtlPoint, curves, table
from lab.sweeps.watched_boards import READS_PER_S, WatchedBoards

TTLS_S: Final = (1.0, 2.0, 5.0, 10.0, 20.0)
WRITES_PER_S: Final = (0.03, 0.2, 1.0)
"""Of every board."""
TOLD, UNTOLD = "invalidated", "TTL only"
TECHNIQUES: Final = frozenset({"pooling", "indexes", "eager_loading", "response_cache"})
SECONDS_FACTOR: Final = 8
"""So many times as long as a point of other sweeps: a write every half a minute has to be met."""
LIVES: Final = 3
"""A time to live is watched over so many of its ends at least."""
SEED: Final = 1
READ_FROM_BOTH: Final = (
    f"Each board is read {READS_PER_S:g} times per second from either process. “{TOLD}”: the writes come in where the "
    f"board is cached. “{UNTOLD}”: they come in at a process that shares the database and no cache."
)
STALE: Final = (
    "A stale answer is one that lacks a write which was acknowledged before it was asked for. For half a TTL after its "
    "end an answer may still be sent while it is computed anew."
)


@dataclass(kw_only=True)
class Pair:
    """The two processes of one time to live."""

    told: Arm
    untold: Arm

    @classmethod
    def of(cls, ttl_s: float, *, data_dir: Path, token: str) -> "Pair":
        """Return processes that share the databases in the directory and nothing else."""
        settings = EMBEDDED | {"CACHE_TTL_S": f"{ttl_s:g}", "EDGE_URL": ""}
        told, untold = (
            Arm(
                ArmSpec(name=name, techniques=TECHNIQUES, settings=settings),
                data_dir=data_dir,
                token=token,
                writes=False,
            )
            for name in ("told", "untold")
        )
        return cls(told=told, untold=untold)


async def ttl_sweep(*, data_dir: Path, seconds: float, progress: Progress) -> SweepResult:
    """Return the curves over a copy of the database that is removed afterwards."""
    points: list[TtlPoint] = []
    failures = 0
    is_interrupted = False
    try:
        async with scratch(data_dir) as directory:
            progress.status("copying the database")
            await asyncio.to_thread(clone_databases, data_dir, directory, written=DATABASES[0])
            for ttl_s in TTLS_S:
                lasts_s = max(SECONDS_FACTOR * seconds, LIVES * ttl_s)
                progress.status(f"TTL {ttl_s:g} s, for {lasts_s:.0f} s")
                found, failed = await _points(ttl_s, directory, seconds=lasts_s)
                points += found
                failures += failed
    except asyncio.CancelledError:
        is_interrupted = True
    return told(points, failures=failures).model_copy(update={"is_interrupted": is_interrupted})


async def _points(ttl_s: float, directory: Path, *, seconds: float) -> tuple[list[TtlPoint], int]:
    token = secrets.token_hex(16)
    pair = Pair.of(ttl_s, data_dir=directory, token=token)
    async with running([pair.told, pair.untold]):
        urls = {TOLD: pair.told.url, UNTOLD: pair.untold.url}
        async with aclosing(WatchedBoards(urls, written=TOLD, token=token, seed=SEED)) as watched:
            boards = await watched.boards(WRITES_PER_S)
            seen = await watched.watch(boards, seconds=seconds)
        pair.told.check()
        pair.untold.check()
    return [
        point
        for rate in WRITES_PER_S
        for way in (TOLD, UNTOLD)
        if (point := _point(ttl_s, rate, way, seen.observed.get((rate, way), Observed()))) is not None
    ], seen.failures


def _point(ttl_s: float, rate: float, way: str, observed: Observed) -> TtlPoint | None:
    hit_ratio, stale_share = observed.hit_ratio, observed.stale_share
    if hit_ratio is None or stale_share is None:
        return None
    return TtlPoint(
        ttl_s=ttl_s,
        writes_per_s=rate,
        way=way,
        responses=len(observed.ages_s),
        hit_ratio=hit_ratio,
        stale_share=stale_share,
        stale_p50_s=observed.stale_age_s(0.5),
        stale_p95_s=observed.stale_age_s(0.95),
        stale_most_s=observed.stale_age_s(1.0),
    )


def told(points: Sequence[TtlPoint], *, failures: int = 0) -> SweepResult:
    """Return the points as a table and curves, with the shortest time to live that is as good as the best."""
    chosen_s, reason = recommended(points)
    notes = [READ_FROM_BOTH, STALE]
    if failures:
        notes.append(f"Requests that failed, and are not in the figures: {failures}.")
    return SweepResult(
        name="ttl",
        question="How long may a cache keep an answer?",
        setting="CACHE_TTL_S",
        tables=[table(points, chosen_s)],
        curves=curves(points, told=TOLD, untold=UNTOLD) if points else [],
        recommendation=None if chosen_s is None else f"CACHE_TTL_S {chosen_s:g}",
        reason=reason,
        notes=notes,
    )


def recommended(points: Sequence[TtlPoint]) -> tuple[float | None, str]:
    """Return the shortest time to live with nearly the most hits where no write is heard of, and why."""
    untold = [point for point in points if point.way == UNTOLD]
    if not untold:
        return None, "nothing was measured"
    ttls = sorted({point.ttl_s for point in untold})
    hits = {ttl_s: _hit_ratio([point for point in untold if point.ttl_s == ttl_s]) for ttl_s in ttls}
    chosen = min(ttl_s for ttl_s in ttls if hits[ttl_s] >= ENOUGH * max(hits.values()))
    oldest = {ttl_s: max((p.stale_most_s or 0.0 for p in untold if p.ttl_s == ttl_s), default=0.0) for ttl_s in ttls}
    reason = f"{hits[chosen]:.0%} hits, and no answer was more than {oldest[chosen]:.1f} s out of date"
    if chosen != ttls[-1]:
        reason += f"; {ttls[-1]:g} s gives {hits[ttls[-1]]:.0%}, and answers {oldest[ttls[-1]]:.1f} s out of date"
    invalidated = [point for point in points if point.way == TOLD]
    stale = round(sum(point.stale_share * point.responses for point in invalidated))
    answers = sum(point.responses for point in invalidated)
    if answers:
        reason += f". Where the cache is told of every write, {stale} of {answers} answers were stale, whatever the TTL"
        if not stale:
            reason += ": there a longer one costs nothing"
    return chosen, reason


def _hit_ratio(points: Sequence[TtlPoint]) -> float:
    return sum(point.hit_ratio * point.responses for point in points) / sum(point.responses for point in points)
