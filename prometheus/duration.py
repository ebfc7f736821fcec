"""Durations as Prometheus writes them, and the clocks of real and accelerated rules."""

import re
from dataclasses import dataclass
from typing import Final

UNITS_S: Final = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}

_DURATION: Final = re.compile(r"(?:\d+[wdhms])+")
_PART: Final = re.compile(r"(\d+)([wdhms])")
# What follows a bracket or `offset` in PromQL is a duration; a subquery has two.
_IN_EXPRESSION: Final = re.compile(
    r"(?<=\[)(?:\d+[wdhms])+(?=[\]:])|(?<=:)(?:\d+[wdhms])+(?=\])|(?<=offset )\d+[wdhms]"
)


def seconds(text: str) -> int:
    """Return the seconds of a duration such as `1h30m`; raise `ValueError` for anything else."""
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is not a duration; allowed: whole numbers of w, d, h, m, s, as in 1h30m")
    return sum(int(number) * UNITS_S[unit] for number, unit in _PART.findall(text))


def text(total_s: int) -> str:
    """Return `90` as `1m30s`: the form Prometheus prints."""
    parts = []
    for unit, size_s in UNITS_S.items():
        if unit != "w" and (count := total_s // size_s):
            parts.append(f"{count}{unit}")
            total_s %= size_s
    return "".join(parts) or "0s"


@dataclass(frozen=True)
class Clock:
    """Divides every duration of the rules by `speed`.

    Names of recorded series keep the nominal window, so that the same dashboards read both.
    """

    speed: int = 1

    def duration(self, nominal: str) -> str:
        """Return the nominal duration divided by the speed, at least one second."""
        return text(max(seconds(nominal) // self.speed, 1)) if nominal != "0s" else nominal

    def expression(self, nominal: str) -> str:
        """Return a PromQL expression, or a text that has durations in brackets, with its durations on this clock."""
        return _IN_EXPRESSION.sub(lambda found: self.duration(found.group()), nominal)


REAL: Final = Clock()
ACCELERATED: Final = Clock(speed=60)
"""An hour lasts a minute."""
