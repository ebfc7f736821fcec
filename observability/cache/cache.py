"""Caches: lookups by result and level, entries, size and invalidations."""

from collections.abc import Iterator
from functools import partial
from threading import Lock
from time import time
from typing import Final

from opentelemetry import trace
from opentelemetry.trace import Span
from opentelemetry.util.types import AttributeValue
from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import CounterMetricFamily, Metric

from observability.core.collector import DescribedCollector
from observability.core.labels import BoundedValues
from observability.core.semconv import CACHE_LEVEL, CACHE_LOOKUP, CACHE_NAME, CACHE_RESULT
from observability.metrics.histogram import BucketCounts, HistogramFamily, LabelValues, TraceRef
from observability.request.record import current_request

RESULTS: Final = ("hit", "stale", "miss", "coalesced", "error")
"""Results of a lookup; a `coalesced` one waited for another request that was already computing the entry."""

LEVELS: Final = ("local", "shared", "edge")
"""Where an entry is: in this process, in a store that processes share, in front of the service."""

LOOKUP_BUCKETS_S: Final = (
    0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
)  # fmt: skip


class CacheMetrics(DescribedCollector):
    """Count and time the lookups of caches, by cache, level and result.

    A hit in the process takes very little time, so counting it must take less: it adds to plain numbers, which become
    samples at a scrape.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._cache = BoundedValues()
        self._level = BoundedValues.closed(LEVELS)
        self._result = BoundedValues.closed(RESULTS)
        self._lookups: dict[LabelValues, BucketCounts] = {}
        self._attributes: dict[LabelValues, dict[str, AttributeValue]] = {}
        """Of the events; the caches, levels and results are bounded."""
        self._lock = Lock()
        self._view = HistogramFamily(counted_s=LOOKUP_BUCKETS_S, bounds_s=LOOKUP_BUCKETS_S)
        labels = ("cache", "level")
        counter = partial(Counter, registry=registry)
        gauge = partial(Gauge, registry=registry)
        self._entries = gauge("cache_entries", "Entries in the cache.", labels)
        self._size = gauge("cache_size_bytes", "Size of the cache's entries in memory.", labels)
        self._invalidations = counter(
            "cache_invalidations_total", "Entries that were invalidated because their data changed.", labels
        )
        registry.register(self)

    def observe(self, cache: str, *, level: str, result: str, seconds: float) -> None:
        """Count a lookup by its result, one of `RESULTS`, and add an event to the current span.

        An unsampled request keeps the event in case it turns out slow or failed.
        """
        request, trace_ref = current_request.get(), None
        if request is None or request.sampled or request.is_logged:
            self._add_span_event(cache, level, result)
            trace_ref = _trace_ref(trace.get_current_span())
        elif request.children is not None:
            self._add_span_event(cache, level, result)
        counts = self._lookups.get((cache, level, result)) or self._counts(cache, level, result)
        with self._lock:
            counts.observe(max(seconds, 0.0), trace_ref)

    def _counts(self, cache: str, level: str, result: str) -> BucketCounts:
        return self._lookups.setdefault(self._bounded(cache, level, result), BucketCounts(LOOKUP_BUCKETS_S))

    def _event_attributes(self, cache: str, level: str, result: str) -> dict[str, AttributeValue]:
        values = self._bounded(cache, level, result)
        names = (CACHE_NAME, CACHE_LEVEL, CACHE_RESULT)
        return self._attributes.setdefault(values, dict(zip(names, values, strict=True)))

    def _bounded(self, cache: str, level: str, result: str) -> tuple[str, str, str]:
        return self._cache(cache), self._level(level), self._result(result)

    def _add_span_event(self, cache: str, level: str, result: str) -> None:
        span = trace.get_current_span()
        if span.is_recording():
            values = self._attributes.get((cache, level, result)) or self._event_attributes(cache, level, result)
            span.add_event(CACHE_LOOKUP, values)

    def set_size(self, cache: str, *, level: str, entries: int, size_bytes: int) -> None:
        labels = self._cache(cache), self._level(level)
        self._entries.labels(*labels).set(entries)
        self._size.labels(*labels).set(size_bytes)

    def count_invalidations(self, cache: str, *, level: str, entries: int = 1) -> None:
        self._invalidations.labels(self._cache(cache), self._level(level)).inc(entries)

    def collect(self) -> Iterator[Metric]:
        labels = ("cache", "level", "result")
        lookups = dict(sorted(self._lookups.copy().items()))
        counted = CounterMetricFamily("cache_requests", "Cache lookups by their result.", labels=labels)
        for values, durations in lookups.items():
            counted.add_metric(values, durations.count)
        yield counted
        yield self._view.family(
            "cache_request_duration_seconds",
            "Time of a cache lookup, without computing a missing entry.",
            labels,
            {values: [durations] for values, durations in lookups.items()},
        )


def _trace_ref(span: Span) -> TraceRef | None:
    """Return the span's trace, if it is sampled or its id is in the log."""
    context = span.get_span_context()
    is_exemplar = context.trace_flags.sampled or getattr(span, "is_logged", False)
    return (context.trace_id, context.span_id, time()) if is_exemplar else None
