"""The compression sweep as tables and curves: over all sizes, by size and link, and every figure."""

from collections.abc import Sequence
from typing import Final

from lab.analysis.sweep_result import Axis, Column, Curve, Line, SweepTable
from lab.analysis.transfer import LINKS_BIT_PER_S, Coded

LINKS: Final = tuple(LINKS_BIT_PER_S)


def tables(coded: Sequence[Coded], recommendation: str | None) -> list[SweepTable]:
    """Return the codings over all sizes, the quickest of each size and link, and everything by size."""
    if not coded:
        return []
    links = [Column(name=link, title=link, unit="s") for link in LINKS]
    name = Column(name="coding", title="coding")
    chosen = [position for position, each in enumerate(coded) if each.name == recommendation]
    overall = SweepTable(
        title="Over all sizes, in the geometric mean",
        columns=[
            name,
            Column(name="bytes_share", title="bytes left", unit="share"),
            Column(name="cpu_per_mb_s", title="CPU per MB", unit="s"),
            *links,
        ],
        rows=[
            {"coding": each.name, "bytes_share": each.bytes_share, "cpu_per_mb_s": each.cpu_per_mb_s}
            | {link: each.typical_s(link) for link in LINKS}
            for each in coded
        ],
        chosen=chosen,
    )
    size, before = Column(name="body", title="answer"), Column(name="before_bytes", title="bytes", unit="bytes")
    quickest = SweepTable(
        title="The quickest for each size and link",
        columns=[size, before, *(Column(name=link, title=link) for link in LINKS)],
        rows=[
            {"body": body, "before_bytes": float(bytes_)}
            | {link: min(coded, key=lambda each: each.total_s(body, link)).name for link in LINKS}
            for body, bytes_ in coded[0].before_bytes.items()
        ],
    )
    details = SweepTable(
        title="Every size, coding and level",
        columns=[
            *(size, before, name, Column(name="after_bytes", title="compressed", unit="bytes")),
            *(Column(name="cpu_s", title="CPU", unit="s"), *links),
        ],
        rows=[
            {
                "body": body,
                "before_bytes": float(bytes_),
                "coding": each.name,
                "after_bytes": float(each.after_bytes[body]),
                "cpu_s": each.cpu_s[body],
            }
            | {link: each.total_s(body, link) for link in LINKS}
            for body, bytes_ in coded[0].before_bytes.items()
            for each in coded
        ],
        is_detail=True,
    )
    return [overall, quickest, details]


def curves(coded: Sequence[Coded], recommendation: str | None) -> list[Curve]:
    """Return CPU against bytes, time against the speed of the link, and what compressing buys by size."""
    if len(coded) < 2:
        return []
    by_coding: dict[str, list[Coded]] = {}
    for each in coded:
        by_coding.setdefault(each.coding, []).append(each)
    quickest = {link: min(each.typical_s(link) for each in coded) for link in LINKS}

    def regret(each: Coded) -> float:
        return max(each.typical_s(link) / quickest[link] for link in LINKS)

    best_levels = [min(levels, key=regret) for levels in by_coding.values()]
    found = [
        Curve(
            title="bytes that are left, against CPU",
            x=Axis(title="CPU per MB", unit="s"),
            y=Axis(title="bytes left", unit="share", is_log=False),
            lines=[
                Line(name=name, points=sorted((each.cpu_per_mb_s, each.bytes_share) for each in levels))
                for name, levels in by_coding.items()
                if levels[0].level is not None
            ],
            caption="A line is a coding, its dots are levels. Lower and further left is better.",
        ),
        Curve(
            title="until the last byte is there, against the quickest",
            x=Axis(title="link", unit="bit/s"),
            y=Axis(title="times as long", unit="times"),
            lines=[
                Line(
                    name=each.name,
                    points=[(rate, each.typical_s(link) / quickest[link]) for link, rate in LINKS_BIT_PER_S.items()],
                )
                for each in best_levels
            ],
            caption="Each coding at the level that is never far from the quickest; identity is not compressed.",
        ),
    ]
    chosen = next((each for each in coded if each.name == recommendation and each.level is not None), None)
    if chosen is not None:
        found.append(
            Curve(
                title=f"how much sooner with {chosen.name} than without",
                x=Axis(title="answer", unit="bytes"),
                y=Axis(title="times sooner", unit="times"),
                lines=[
                    Line(
                        name=link,
                        points=sorted(
                            (float(size), coded[0].total_s(body, link) / chosen.total_s(body, link))
                            for body, size in chosen.before_bytes.items()
                        ),
                    )
                    for link in LINKS
                ],
                caption="Below 1 it is later: there the CPU takes longer than the bytes that it spares.",
            )
        )
    return found
