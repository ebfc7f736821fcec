"""Tables and curves of the compression sweep."""

from collections.abc import Sequence
from typing import Final

from lab.analysis.sweep_result import Axis, Column, Curve, Line, SweepTable
from lab.analysis.transfer import LINKS_BIT_PER_S, CodedBodies

LINKS: Final = tuple(LINKS_BIT_PER_S)


def tables(coded: Sequence[CodedBodies], recommendation: str | None) -> list[SweepTable]:
    """Return the codings over all sizes, the fastest for each size and link, and all details."""
    if not coded:
        return []
    links = [Column(name=link, title=link, unit="s") for link in LINKS]
    name = Column(name="coding", title="coding")
    chosen = [position for position, each in enumerate(coded) if each.name == recommendation]
    overall = SweepTable(
        title="Geometric mean over all sizes",
        columns=[
            name,
            Column(name="bytes_share", title="compressed size", unit="share"),
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
    size, before = Column(name="body", title="response"), Column(name="before_bytes", title="bytes", unit="bytes")
    fastest = SweepTable(
        title="Fastest coding for each size and link",
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
    return [overall, fastest, details]


def curves(coded: Sequence[CodedBodies], recommendation: str | None) -> list[Curve]:
    """Return CPU against bytes, time by link, and time saved by size."""
    if len(coded) < 2:
        return []
    by_coding: dict[str, list[CodedBodies]] = {}
    for each in coded:
        by_coding.setdefault(each.coding, []).append(each)
    fastest = {link: min(each.typical_s(link) for each in coded) for link in LINKS}

    def regret(each: CodedBodies) -> float:
        return max(each.typical_s(link) / fastest[link] for link in LINKS)

    best_levels = [min(levels, key=regret) for levels in by_coding.values()]
    result = [
        Curve(
            title="compressed size by CPU time",
            x=Axis(title="CPU per MB", unit="s"),
            y=Axis(title="compressed size", unit="share", is_log=False),
            lines=[
                Line(name=name, points=sorted((each.cpu_per_mb_s, each.bytes_share) for each in levels))
                for name, levels in by_coding.items()
                if levels[0].level is not None
            ],
            caption="A line is a content coding, its dots are levels. Lower and further left is better.",
        ),
        Curve(
            title="time to the last byte, relative to the fastest coding",
            x=Axis(title="link", unit="bit/s"),
            y=Axis(title="relative time", unit="times"),
            lines=[
                Line(
                    name=each.name,
                    points=[(rate, each.typical_s(link) / fastest[link]) for link, rate in LINKS_BIT_PER_S.items()],
                )
                for each in best_levels
            ],
            caption="Each content coding at its level with the least regret; identity is uncompressed.",
        ),
    ]
    chosen = next((each for each in coded if each.name == recommendation and each.level is not None), None)
    if chosen is not None:
        result.append(
            Curve(
                title=f"speed-up with {chosen.name}",
                x=Axis(title="response", unit="bytes"),
                y=Axis(title="speed-up", unit="times"),
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
                caption="Below 1 compression is slower: it takes more CPU time than it saves transfer time.",
            )
        )
    return result
