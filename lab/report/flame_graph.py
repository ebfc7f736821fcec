"""A flame graph as SVG: one box per call, as wide as its share of the CPU time; the outermost calls are at the top."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from html import escape
from typing import Final

from lab.profile.result import ProfileResult
from lab.profile.stacks import Stack, is_own
from lab.report.formatting import quantity

WIDTH: Final = 1040
ROW: Final = 18
CHARACTER: Final = 6.7
"""Average width of a character of a label, in the units of the box."""
LEAST: Final = 0.002
"""Share of the width below which a box is not drawn."""


@dataclass
class Call:
    """A function at one place of the stacks, with its CPU time per request in seconds."""

    name: str
    spent_s: float = 0.0
    callees: dict[str, "Call"] = field(default_factory=dict)

    @classmethod
    def tree(cls, stacks: Iterable[tuple[Stack, float]]) -> "Call":
        """Return the root of all stacks."""
        root = cls("all")
        for stack, spent_s in stacks:
            call = root
            call.spent_s += spent_s
            for name in stack:
                call = call.callees.setdefault(name, cls(name))
                call.spent_s += spent_s
        return root


@dataclass(frozen=True)
class Box:
    call: Call
    x: float
    width: float
    depth: int


def boxes(call: Call, *, x: float, scale: float, depth: int = 0) -> Iterator[Box]:
    """Yield the boxes of a call and its callees; `scale` is the width of a second."""
    width = call.spent_s * scale
    if width < LEAST * WIDTH:
        return
    yield Box(call, x, width, depth)
    for _, callee in sorted(call.callees.items()):
        yield from boxes(callee, x=x, scale=scale, depth=depth + 1)
        x += callee.spent_s * scale


def flame_graph(profile: ProfileResult, *, variable: str, description: str) -> str:
    """Draw a profile over the whole width; our functions have the colour of this CSS variable, libraries are grey."""
    root = Call.tree(profile.per_request())
    drawn = [box for box in boxes(root, x=0, scale=WIDTH / root.spent_s) if box.depth]
    height = max(box.depth for box in drawn) * ROW
    elements = "".join(_element(box, whole_s=root.spent_s, variable=variable) for box in drawn)
    return (
        f'<svg role="img" aria-label="{escape(description)}" class="flame" viewBox="0 0 {WIDTH} {height}">'
        f"{elements}</svg>"
    )


def _element(box: Box, *, whole_s: float, variable: str) -> str:
    top = (box.depth - 1) * ROW
    name = box.call.name
    share = f"{box.call.spent_s / whole_s * 100:.1f} %"
    look = f' style="fill: var({variable})"' if is_own(name) else ""
    room = int((box.width - 6) / CHARACTER)
    shown = name if len(name) <= room else f"{name[: room - 1]}…" if room > 3 else ""
    text = f'<text x="{box.x + 4:.1f}" y="{top + 13}">{escape(shown)}</text>' if shown else ""
    return (
        f"<g><title>{escape(name)}: {quantity(box.call.spent_s, 's')}, {share}</title>"
        f'<rect x="{box.x:.1f}" y="{top}" width="{box.width:.1f}" height="{ROW - 1}"{look}/>{text}</g>'
    )
