"""The link from a bucket of a histogram to a trace that fell into it."""

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
Example = tuple[str, float]
"""A trace id and when it was seen, in seconds since 1970."""


class BucketCounts:
    """Observations in seconds by the bucket they fall into; the writer holds a lock, readers need none."""

    __slots__ = ("_bounds", "buckets", "exemplars", "sum_s")

    def __init__(self, bounds_s: Sequence[float]) -> None:
        self._bounds = bounds_s
        self.buckets = [0] * (len(bounds_s) + 1)
        self.sum_s = 0.0
        self.exemplars: dict[int, Exemplar] = {}

    def observe(self, seconds: float, example: Example | None = None) -> None:
        """Count one observation; its trace, if somebody keeps that, becomes the bucket's example."""
        bucket = bisect_left(self._bounds, seconds)
        self.buckets[bucket] += 1
        self.sum_s += seconds
        if example is not None:
            trace_id, seen_at = example
            self.exemplars[bucket] = Exemplar({"trace_id": trace_id}, seconds, seen_at)

    def observe_all(self, seconds: Iterable[float]) -> None:
        """Count many observations, but none that is negative."""
        ordered = sorted(seconds)
        if ordered and ordered[0] < 0:
            del ordered[: bisect_left(ordered, 0.0)]
        bounds, begin, end = self._bounds, 0, len(ordered)
        while begin < end:  # they fall into few buckets, so that hardly any is looked at by itself
            bucket = bisect_left(bounds, ordered[begin])
            after = bisect_right(ordered, bounds[bucket], begin) if bucket < len(bounds) else end
            self.buckets[bucket] += after - begin
            begin = after
        self.sum_s += sum(ordered)

    def set_exemplar(self, seconds: float, trace_id: str) -> None:
        """Make the trace the example of the bucket that the observation falls into."""
        self.exemplars[bisect_left(self._bounds, seconds)] = Exemplar({"trace_id": trace_id}, seconds, time())

    def set_exemplars(self, traces: Iterable[tuple[float, int, float]]) -> None:
        """Make the last trace in each bucket its example; given are seconds, trace ids, and when they were seen."""
        latest = {bisect_left(self._bounds, trace[0]): trace for trace in traces if trace[0] >= 0}
        for bucket, (seconds, number, seen_at) in latest.items():
            self.exemplars[bucket] = Exemplar({"trace_id": f"{number:032x}"}, seconds, seen_at)

    @property
    def count(self) -> int:
        """How many observations there were."""
        return sum(self.buckets)


class HistogramFamily:
    """Histograms over bounds that are all, or some, of the bounds that the durations were counted by."""

    def __init__(self, *, counted_s: Sequence[float], bounds_s: Sequence[float]) -> None:
        self._ends: Final = [*(list(counted_s).index(bound) for bound in bounds_s), len(counted_s)]
        self._names: Final = [floatToGoString(bound) for bound in (*bounds_s, inf)]  # type: ignore[no-untyped-call]

    def family(
        self, name: str, text: str, labels: LabelValues, durations: Mapping[LabelValues, Sequence[BucketCounts]]
    ) -> HistogramMetricFamily:
        """Return the histogram with one series per label values, each the sum of its durations."""
        family = HistogramMetricFamily(name, text, labels=labels)
        for values, parts in durations.items():
            running = list(accumulate(map(sum, zip(*[part.buckets.copy() for part in parts], strict=True))))
            family.add_metric(values, self._buckets(running, parts), sum(part.sum_s for part in parts))
        return family

    def _buckets(
        self, running: list[int], parts: Sequence[BucketCounts]
    ) -> list[tuple[str, float] | tuple[str, float, Exemplar]]:
        examples = sorted((item for part in parts for item in part.exemplars.copy().items()), key=_age)
        buckets: list[tuple[str, float] | tuple[str, float, Exemplar]] = []
        begin = 0
        for name, end in zip(self._names, self._ends, strict=True):
            latest = next((example for slot, example in reversed(examples) if begin <= slot <= end), None)
            buckets.append((name, running[end], latest) if latest else (name, running[end]))
            begin = end + 1
        return buckets


def _age(example: tuple[int, Exemplar]) -> float:
    return float(example[1].timestamp or 0)


def exemplar() -> dict[str, str] | None:
    """Return the exemplar labels of the current trace, or None when nobody keeps that trace."""
    return exemplar_of(trace.get_current_span())


def exemplar_of(span: Span) -> dict[str, str] | None:
    """Return the exemplar labels of the span's trace, or None when nobody keeps that trace.

    The flag of the context decides, not `is_recording()`: the server span may have ended by the time a duration is
    recorded.
    """
    context = span.get_span_context()
    if not context.trace_flags.sampled:
        return None
    return {"trace_id": f"{context.trace_id:032x}"}
