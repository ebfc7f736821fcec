"""Histograms that count in plain numbers, and exemplars: the trace of an observation in a bucket."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from math import inf
from time import time
from typing import Final

from opentelemetry import trace
from opentelemetry.trace import Span
from prometheus_client.core import Exemplar, HistogramMetricFamily
from prometheus_client.utils import floatToGoString

LabelValues = tuple[str, ...]
TraceRef = tuple[int, int, float]
"""A trace id, a span id, and their time in seconds since the epoch."""


class BucketCounts:
    """Observations by bucket, in seconds or any unit; a writer holds a lock, readers need none."""

    __slots__ = ("_bounds", "buckets", "exemplars", "sum_s")

    def __init__(self, bounds_s: Sequence[float]) -> None:
        self._bounds = bounds_s
        self.buckets = [0] * (len(bounds_s) + 1)
        self.sum_s = 0.0
        self.exemplars: dict[int, Exemplar] = {}

    def observe(self, seconds: float, trace_ref: TraceRef | None = None) -> None:
        """Count an observation; its trace, if it is kept, becomes the exemplar of the bucket."""
        bucket = bisect_left(self._bounds, seconds)
        self.buckets[bucket] += 1
        self.sum_s += seconds
        if trace_ref is not None:
            trace_id, span_id, at_s = trace_ref
            self.exemplars[bucket] = Exemplar(exemplar_labels(trace_id, span_id), seconds, at_s)

    def observe_all(self, seconds: Iterable[float]) -> None:
        """Count many observations, except negative ones."""
        ordered = sorted(seconds)
        if ordered and ordered[0] < 0:
            del ordered[: bisect_left(ordered, 0.0)]
        bounds, begin, end = self._bounds, 0, len(ordered)
        while begin < end:  # one bucket at a time, not one observation: they are in few buckets
            bucket = bisect_left(bounds, ordered[begin])
            after = bisect_right(ordered, bounds[bucket], begin) if bucket < len(bounds) else end
            self.buckets[bucket] += after - begin
            begin = after
        self.sum_s += sum(ordered)

    def set_exemplar(self, seconds: float, labels: dict[str, str]) -> None:
        """Make the trace of these labels the exemplar of the observation's bucket."""
        self.exemplars[bisect_left(self._bounds, seconds)] = Exemplar(labels, seconds, time())

    def set_exemplars(self, traces: Iterable[tuple[float, TraceRef]]) -> None:
        """Make the last trace in each bucket its exemplar, given with the seconds that were observed."""
        latest = {bisect_left(self._bounds, trace[0]): trace for trace in traces if trace[0] >= 0}
        for bucket, (seconds, (trace_id, span_id, at_s)) in latest.items():
            self.exemplars[bucket] = Exemplar(exemplar_labels(trace_id, span_id), seconds, at_s)

    @property
    def count(self) -> int:
        return sum(self.buckets)


class HistogramFamily:
    """Makes histograms of `BucketCounts`, whose bounds are all or some of those that were counted by."""

    def __init__(self, *, counted_s: Sequence[float], bounds_s: Sequence[float]) -> None:
        self._ends: Final = [*(list(counted_s).index(bound) for bound in bounds_s), len(counted_s)]
        self._names: Final = [floatToGoString(bound) for bound in (*bounds_s, inf)]  # type: ignore[no-untyped-call]

    def family(
        self, name: str, text: str, labels: LabelValues, counts: Mapping[LabelValues, Sequence[BucketCounts]]
    ) -> HistogramMetricFamily:
        """Return the histogram, for each label values the sum of their counts."""
        family = HistogramMetricFamily(name, text, labels=labels)
        for values, parts in counts.items():
            cumulative = list(accumulate(map(sum, zip(*[part.buckets.copy() for part in parts], strict=True))))
            family.add_metric(values, self._buckets(cumulative, parts), sum(part.sum_s for part in parts))
        return family

    def _buckets(
        self, cumulative: list[int], parts: Sequence[BucketCounts]
    ) -> list[tuple[str, float] | tuple[str, float, Exemplar]]:
        exemplars = sorted((item for part in parts for item in part.exemplars.copy().items()), key=_timestamp)
        buckets: list[tuple[str, float] | tuple[str, float, Exemplar]] = []
        begin = 0
        for name, end in zip(self._names, self._ends, strict=True):
            latest = next((exemplar for bucket, exemplar in reversed(exemplars) if begin <= bucket <= end), None)
            buckets.append((name, cumulative[end], latest) if latest else (name, cumulative[end]))
            begin = end + 1
        return buckets


def _timestamp(exemplar: tuple[int, Exemplar]) -> float:
    return float(exemplar[1].timestamp or 0)


def exemplar_labels(trace_id: int, span_id: int) -> dict[str, str]:
    return {"trace_id": f"{trace_id:032x}", "span_id": f"{span_id:016x}"}


def exemplar() -> dict[str, str] | None:
    """Return the exemplar labels of the current span, or None if its trace is neither exported nor in the log."""
    return exemplar_of(trace.get_current_span())


def exemplar_of(span: Span) -> dict[str, str] | None:
    """Return the exemplar labels of the span, or None if its trace is neither exported nor in the log.

    The trace flag decides, not `is_recording()`: the server span may have ended before a duration is recorded.
    """
    context = span.get_span_context()
    if not context.trace_flags.sampled and not getattr(span, "is_logged", False):
        return None
    return exemplar_labels(context.trace_id, context.span_id)
