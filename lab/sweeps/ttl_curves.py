"""Table and curves of the TTL sweep."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from lab.analysis.sweep_result import Axis, Column, Curve, Line, SweepTable

COLUMNS: Final = (
    Column(name="ttl_s", title="TTL, s"),
    Column(name="writes_per_s", title="writes/s"),
    Column(name="process", title="process"),
    Column(name="responses", title="responses"),
    Column(name="hit_ratio", title="hits", unit="share"),
    Column(name="stale_share", title="stale", unit="share"),
    Column(name="stale_p50_s", title="age, p50", unit="s"),
    Column(name="stale_p95_s", title="p95", unit="s"),
    Column(name="stale_most_s", title="oldest", unit="s"),
)
"""Ages are those of stale responses."""


@dataclass(frozen=True, kw_only=True)
class TtlPoint:
    """What clients of one process observed, at one TTL and one rate of writes."""

    ttl_s: float
    writes_per_s: float
    process: str
    responses: int
    hit_ratio: float
    stale_share: float
    stale_p50_s: float | None
    stale_p95_s: float | None
    stale_most_s: float | None


def table(points: Sequence[TtlPoint], chosen_s: float | None) -> SweepTable:
    return SweepTable(
        columns=list(COLUMNS),
        rows=[asdict(point) for point in points],
        chosen=[position for position, point in enumerate(points) if point.ttl_s == chosen_s],
    )


def curves(points: Sequence[TtlPoint], *, invalidated: str, ttl_only: str) -> list[Curve]:
    """Return hit ratio and staleness by TTL, and hit ratio by staleness."""
    ttl = Axis(title="TTL", unit="s")

    def lines(process: str, y: Callable[[TtlPoint], float | None], *, is_dashed: bool = False) -> list[Line]:
        candidates = [
            Line(
                name=f"{rate:g} writes/s, {process}",
                points=[
                    (point.ttl_s, value)
                    for point in points
                    if (point.process, point.writes_per_s) == (process, rate) and (value := y(point)) is not None
                ],
                is_dashed=is_dashed,
            )
            for rate in dict.fromkeys(point.writes_per_s for point in points)
        ]
        return [line for line in candidates if line.points]

    share = Axis(title="share", unit="share", is_log=False)
    against = [
        Line(
            name=line.name,
            points=[
                (point.stale_p95_s, point.hit_ratio)
                for ttl_s, _ in line.points
                for point in points
                if f"{point.writes_per_s:g} writes/s, {point.process}" == line.name
                and point.ttl_s == ttl_s
                and point.stale_p95_s
            ],
        )
        for line in lines(ttl_only, lambda point: point.stale_p95_s)
    ]
    return [
        Curve(
            title="hit ratio",
            x=ttl,
            y=share,
            lines=[
                *lines(invalidated, lambda point: point.hit_ratio),
                *lines(ttl_only, lambda point: point.hit_ratio, is_dashed=True),
            ],
            caption="With invalidation, writes reduce the hit ratio. Without, they make responses stale.",
        ),
        Curve(
            title="stale responses",
            x=ttl,
            y=share,
            lines=[
                *lines(invalidated, lambda point: point.stale_share),
                *lines(ttl_only, lambda point: point.stale_share, is_dashed=True),
            ],
            caption="Share of responses that lack a write acknowledged before the request.",
        ),
        Curve(
            title="p95 age of stale responses",
            x=ttl,
            y=Axis(title="age", unit="s", is_log=False),
            lines=lines(ttl_only, lambda point: point.stale_p95_s, is_dashed=True),
            caption="Since the first missing write.",
        ),
        Curve(
            title="hit ratio by staleness",
            x=Axis(title="p95 age of stale responses", unit="s"),
            y=share,
            lines=[line for line in against if line.points],
            caption="Without invalidation. Each dot is a TTL; the longest is on the right.",
        ),
    ]
