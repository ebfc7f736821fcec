"""The `Server-Timing` response header: the time spent in parts of a request, for the browser's network tab."""

import re
from collections.abc import Mapping
from functools import lru_cache
from time import perf_counter

from observability.request.record import current_request


def add_timing(name: str, seconds: float) -> None:
    """Add seconds to a metric of the current request (`db`, `cache`, `upstream`, `serialize`, `compress`), if any."""
    request = current_request.get()
    if request is None:
        return
    timings = request.timings
    if timings is None:
        request.timings = {name: seconds}
    else:
        timings[name] = timings.get(name, 0.0) + seconds


class timing:  # noqa: N801 used as a statement
    """Add the duration of a block to a metric of the current request: `with timing("serialize"): ...`."""

    __slots__ = ("name", "started")

    def __init__(self, name: str) -> None:
        self.name = name
        self.started = 0.0

    def __enter__(self) -> None:
        self.started = perf_counter()

    def __exit__(self, *_: object) -> None:
        add_timing(self.name, perf_counter() - self.started)


@lru_cache(maxsize=256)
def _token(name: str) -> bytes:
    return re.sub(r"[^A-Za-z0-9!#$%&'*+.^`|~-]", "_", name).encode("ascii") or b"_"


def header_value(timings: Mapping[str, float] | None, *, total_s: float) -> bytes:
    """Return the metrics and `total` in milliseconds, as in `db;dur=1.25, total;dur=3.50`."""
    text = b""
    if timings:
        for name, seconds in timings.items():
            text += b"%b;dur=%.2f, " % (_token(name), seconds * 1000)
    return b"%btotal;dur=%.2f" % (text, total_s * 1000)
