"""The requests of one handler, method and status: those that ended since the last count, and the counts."""

from collections.abc import Sequence
from typing import Final

from observability.metrics.histogram import BucketCounts, LabelValues, TraceRef

SHORTEST_BACKGROUND_S: Final = 0.001
"""Less time after the last byte is the framework's own work, not a background task."""

_Pending = tuple[float, float, float, int, int]
"""A request before it is counted: seconds to its end, first and last byte (negative if there was none); bytes received
and sent."""

_PendingExemplar = tuple[_Pending, TraceRef]
"""A request whose trace is kept or in the log."""


SeriesKey = tuple[str, str, int | str]
"""Handler, method and status."""


class Series:
    __slots__ = (
        "background",
        "code",
        "first_byte",
        "handler",
        "last_byte",
        "method",
        "own",
        "pending",
        "pending_exemplars",
        "received",
        "sent",
        "status",
        "whole",
    )  # fmt: skip

    def __init__(self, key: SeriesKey, *, own: LabelValues, bounds_s: Sequence[float]) -> None:
        self.handler, self.method, code = key
        self.own = own
        self.code = str(code)
        self.status = f"{code // 100}xx" if isinstance(code, int) else code
        self.whole, self.first_byte = BucketCounts(bounds_s), BucketCounts(bounds_s)
        self.last_byte, self.background = BucketCounts(bounds_s), BucketCounts(bounds_s)
        self.received = self.sent = 0
        self.pending: list[_Pending] = []
        self.pending_exemplars: list[_PendingExemplar] = []
        """Requests that `flush()` will count; appending needs no lock."""

    def flush(self) -> None:
        """Count the pending requests; the caller holds the lock."""
        batch, sampled = self.pending[:], self.pending_exemplars[:]
        if not batch:
            return
        # Requests appended meanwhile are behind these and stay.
        del self.pending[: len(batch)], self.pending_exemplars[: len(sampled)]
        *_, received, sent = zip(*batch, strict=True)
        self.received += sum(received)
        self.sent += sum(sent)
        every = (self.whole, self.first_byte, self.last_byte, self.background)
        for durations, seconds in zip(every, _phases(batch), strict=True):
            durations.observe_all(seconds)
        if sampled:
            requests, traces = zip(*sampled, strict=True)
            for durations, seconds in zip(every, _phases(requests), strict=True):
                durations.set_exemplars(zip(seconds, traces, strict=True))


def _phases(batch: Sequence[_Pending]) -> tuple[Sequence[float], ...]:
    """Return the seconds of whole requests, first bytes, last bytes and background work; negative if there was none."""
    whole, first_byte, last_byte, _, _ = zip(*batch, strict=True)
    after = [end - last if last >= 0 else -1.0 for end, last in zip(whole, last_byte, strict=True)]
    return whole, first_byte, last_byte, [seconds if seconds >= SHORTEST_BACKGROUND_S else -1.0 for seconds in after]
