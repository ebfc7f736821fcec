"""Durations as text."""

import re
from typing import Final

from lab.core.errors import BadSetting

UNITS_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def duration_s(text: str, *, option: str, such_as: str = "90s, 10m, 24h or 7d") -> float:
    """Return the seconds of `0.5ms`, `90s`, `10m`, `24h` or `7d`; raise `BadSetting` for anything else, and for 0."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|[smhd])", text.strip())
    seconds = float(match[1]) * UNITS_S[match[2]] if match else 0.0
    if not seconds:
        raise BadSetting(option, text, f"a time such as {such_as}")
    return seconds
