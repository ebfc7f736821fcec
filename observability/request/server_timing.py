"""The `Server-Timing` response header: where a request's time went, for the browser's network tab."""

import re
from collections.abc import Mapping
from functools import lru_cache
from time import perf_counter
from types import TracebackType

from observability.request.record import current_request


def record(name: str, seconds: float) -> None:
    """Add seconds to a stage (`db`, `cache`, `upstream`, `serialize`, `compress`); outside a request do nothing."""
    request = current_request.get()
    if request is None:
        return
    stages = request.stages
    if stages is None:
        request.stages = {name: seconds}
    else:
        stages[name] = stages.get(name, 0.0) + seconds


class stage:  # noqa: N801 reads as a statement: `with stage("serialize"):`
    """A block whose duration is added to a stage of the current request: `with stage("serialize"): ...`."""

    __slots__ = ("name", "started")

    def __init__(self, name: str) -> None:
        self.name = name
        self.started = 0.0

    def __enter__(self) -> None:
        """Start the clock."""
        self.started = perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Record the time, also of a block that raised."""
        record(self.name, perf_counter() - self.started)


@lru_cache(maxsize=256)
def _token(name: str) -> bytes:
    """Return the name with what a header token may not hold replaced by `_`."""
    return re.sub(r"[^A-Za-z0-9!#$%&'*+.^`|~-]", "_", name).encode("ascii") or b"_"


def header_value(stages: Mapping[str, float] | None, *, total_s: float) -> bytes:
    """Return every stage and `total` in milliseconds, as `db;dur=1.25, total;dur=3.50`."""
    text = b""
    if stages:
        for name, seconds in stages.items():
            text += b"%b;dur=%.2f, " % (_token(name), seconds * 1000)
    return b"%btotal;dur=%.2f" % (text, total_s * 1000)
