"""The sweep of the time to live as a table and curves."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from lab.analysis.sweep_result import Axis, Column, Curve, Line, SweepTable

COLUMNS: Final = (
    Column(name="ttl_s", title="TTL, s"),
    Column(name="writes_per_s", title="writes/s"),
    Column(name="way", title="ended by"),
    Column(name="responses", title="responses"),
    Column(name="hit_ratio", title="hits", unit="share"),
    Column(name="stale_share", title="stale", unit="share"),
    Column(name="stale_p50_s", title="age, p50", unit="s"),
    Column(name="stale_p95_s", title="p95", unit="s"),
    Column(name="stale_most_s", title="oldest", unit="s"),
)
"""Ages are those of stale answers."""


@dataclass(frozen=True, kw_only=True)
class TtlPoint:
    """What readers of boards saw that change so often, with one time to live."""

    ttl_s: float
    writes_per_s: float
    way: str
    responses: int
    hit_ratio: float
    stale_share: float
    stale_p50_s: float | None
    stale_p95_s: float | None
    stale_most_s: float | None


def table(points: Sequence[TtlPoint], chosen_s: float | None) -> SweepTable:
    """Return every point as a row."""
    return SweepTable(
        columns=list(COLUMNS),
        rows=[asdict(point) for point in points],
        chosen=[position for position, point in enumerate(points) if point.ttl_s == chosen_s],
    )


def curves(points: Sequence[TtlPoint], *, told: str, untold: str) -> list[Curve]:
    """Return hit ratio and staleness over the time to live, and one against the other."""
    ttl = Axis(title="TTL", unit="s")

    def lines(way: str, y: Callable[[TtlPoint], float | None], *, is_dashed: bool = False) -> list[Line]:
        found = [
            Line(
                name=f"{rate:g} writes/s, {way}",
                points=[
                    (point.ttl_s, value)
                    for point in points
                    if (point.way, point.writes_per_s) == (way, rate) and (value := y(point)) is not None
                ],
                is_dashed=is_dashed,
            )
            for rate in dict.fromkeys(point.writes_per_s for point in points)
        ]
        return [line for line in found if line.points]

    share = Axis(title="share", unit="share", is_log=False)
    against = [
        Line(
            name=line.name,
            points=[
                (point.stale_p95_s, point.hit_ratio)
                for ttl_s, _ in line.points
                for point in points
                if f"{point.writes_per_s:g} writes/s, {point.way}" == line.name
                and point.ttl_s == ttl_s
                and point.stale_p95_s
            ],
        )
        for line in lines(untold, lambda point: point.stale_p95_s)
    ]
    return [
        Curve(
            title="hit ratio",
            x=ttl,
            y=share,
            lines=[
                *lines(told, lambda point: point.hit_ratio),
                *lines(untold, lambda point: point.hit_ratio, is_dashed=True),
            ],
            caption="Writes that the cache is told of cost it hits. Those that it is not told of cost the readers.",
        ),
        Curve(
            title="answers that were stale",
            x=ttl,
            y=share,
            lines=[
                *lines(told, lambda point: point.stale_share),
                *lines(untold, lambda point: point.stale_share, is_dashed=True),
            ],
            caption="Of all answers: a write had been acknowledged before they were asked for, and they lack it.",
        ),
        Curve(
            title="how old stale answers were, p95",
            x=ttl,
            y=Axis(title="age", unit="s", is_log=False),
            lines=lines(untold, lambda point: point.stale_p95_s, is_dashed=True),
            caption="Since the first write that they lack.",
        ),
        Curve(
            title="hit ratio against staleness",
            x=Axis(title="age of stale answers, p95", unit="s"),
            y=share,
            lines=[line for line in against if line.points],
            caption="Without invalidation. Each dot is a TTL, the longest one to the right.",
        ),
    ]
