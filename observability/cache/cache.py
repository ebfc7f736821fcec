"""How well each cache works: lookups by result and level, what it holds, what was invalidated."""

from collections.abc import Iterator
from threading import Lock
from time import time
from typing import Final

from opentelemetry import trace
from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from observability.core.labels import BoundedValues
from observability.metrics.histogram import BucketCounts, Example, HistogramFamily, LabelValues
from observability.request.record import current_request

RESULTS: Final = ("hit", "stale", "miss", "coalesced", "error")
"""What a lookup can end with; `coalesced` waited for another request that was already computing the entry."""

LEVELS: Final = ("local", "shared", "edge")
"""Where an entry can be: in this process, in a store that processes share, in front of the service."""

LOOKUP_BUCKETS_S: Final = (
    0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
)  # fmt: skip


class CacheMetrics(Collector):
    """Count and time the lookups of caches, by cache, level and result.

    A hit in the process has hardly anything to do, so counting it must not cost more: it adds to plain numbers, which
    become samples when somebody scrapes.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._cache = BoundedValues()
        self._level = BoundedValues.closed(LEVELS)
        self._result = BoundedValues.closed(RESULTS)
        self._lookups: dict[LabelValues, BucketCounts] = {}
        self._lock = Lock()
        self._view = HistogramFamily(counted_s=LOOKUP_BUCKETS_S, bounds_s=LOOKUP_BUCKETS_S)
        labels = ("cache", "level")
        self._entries = Gauge("cache_entries", "Entries that the cache holds.", labels, registry=registry)
        self._size = Gauge("cache_size_bytes", "Memory that the cache's entries take.", labels, registry=registry)
        self._invalidations = Counter(
            "cache_invalidations_total",
            "Entries that were dropped because what they depend on changed.",
            labels,
            registry=registry,
        )
        registry.register(self)

    def observe(self, cache: str, *, level: str, result: str, seconds: float) -> None:
        """Count one lookup that took `seconds` and ended with one of `RESULTS`; say so on the current span."""
        request = current_request.get()
        # Nobody looks at the trace of a request that is not sampled: not at its ids, and not at its events.
        example = self._told_trace(cache, level, result) if request is None or request.sampled else None
        durations = self._lookups.get((cache, level, result)) or self._durations(cache, level, result)
        with self._lock:
            durations.observe(max(seconds, 0.0), example)

    def _durations(self, cache: str, level: str, result: str) -> BucketCounts:
        """Return the numbers under these labels, or under what is left of them."""
        values = self._cache(cache), self._level(level), self._result(result)
        return self._lookups.setdefault(values, BucketCounts(LOOKUP_BUCKETS_S))

    def _told_trace(self, cache: str, level: str, result: str) -> Example | None:
        """Tell the current span of a lookup; return its trace if somebody keeps that."""
        span = trace.get_current_span()
        if span.is_recording():
            values = {
                "cache.name": self._cache(cache),
                "cache.level": self._level(level),
                "cache.result": self._result(result),
            }
            span.add_event("cache", values)
        context = span.get_span_context()
        return (f"{context.trace_id:032x}", time()) if context.trace_flags.sampled else None

    def set_size(self, cache: str, *, level: str, entries: int, size_bytes: int) -> None:
        """Set how many entries a level of the cache holds and how many bytes they take."""
        labels = self._cache(cache), self._level(level)
        self._entries.labels(*labels).set(entries)
        self._size.labels(*labels).set(size_bytes)

    def count_invalidations(self, cache: str, *, level: str, entries: int = 1) -> None:
        """Count entries that an invalidation made unusable."""
        self._invalidations.labels(self._cache(cache), self._level(level)).inc(entries)

    def collect(self) -> Iterator[Metric]:
        """Yield the samples of every lookup so far."""
        labels = ("cache", "level", "result")
        lookups = dict(sorted(self._lookups.copy().items()))
        counted = CounterMetricFamily("cache_requests", "Cache lookups by their result.", labels=labels)
        for values, durations in lookups.items():
            counted.add_metric(values, durations.count)
        yield counted
        yield self._view.family(
            "cache_request_duration_seconds",
            "Time a cache lookup took; what computing a missing entry took is not in it.",
            labels,
            {values: [durations] for values, durations in lookups.items()},
        )
