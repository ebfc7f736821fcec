"""How well each cache works: lookups by result and level, what it holds, what was invalidated."""

from opentelemetry import trace
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from observability.exemplar import exemplar
from observability.labels import BoundedValues

RESULTS = ("hit", "stale", "miss", "coalesced", "error")
"""What a lookup can end with; `coalesced` waited for another request that was already computing the entry."""

LEVELS = ("local", "shared", "edge")
"""Where an entry can be: in this process, in a store that processes share, in front of the service."""

LOOKUP_BUCKETS_S = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class CacheMetrics:
    """Count and time the lookups of caches, by cache, level and result."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._cache = BoundedValues()
        self._level = BoundedValues.closed(LEVELS)
        self._result = BoundedValues.closed(RESULTS)
        labels = ("cache", "level")
        self._requests = Counter(
            "cache_requests_total", "Cache lookups by their result.", (*labels, "result"), registry=registry
        )
        self._duration = Histogram(
            "cache_request_duration_seconds",
            "Time a cache lookup took; what computing a missing entry took is not in it.",
            (*labels, "result"),
            buckets=LOOKUP_BUCKETS_S,
            registry=registry,
        )
        self._entries = Gauge("cache_entries", "Entries that the cache holds.", labels, registry=registry)
        self._size = Gauge("cache_size_bytes", "Memory that the cache's entries take.", labels, registry=registry)
        self._invalidations = Counter(
            "cache_invalidations_total",
            "Entries that were dropped because what they depend on changed.",
            labels,
            registry=registry,
        )

    def observe(self, cache: str, *, level: str, result: str, seconds: float) -> None:
        """Count one lookup that took `seconds` and ended with one of `RESULTS`; say so on the current span."""
        cache, level, result = self._cache(cache), self._level(level), self._result(result)
        self._requests.labels(cache, level, result).inc()
        self._duration.labels(cache, level, result).observe(max(seconds, 0.0), exemplar())
        span = trace.get_current_span()
        if span.is_recording():
            span.add_event("cache", {"cache.name": cache, "cache.level": level, "cache.result": result})

    def resized(self, cache: str, *, level: str, entries: int, size_bytes: int) -> None:
        """Set how many entries a level of the cache holds and how many bytes they take."""
        labels = self._cache(cache), self._level(level)
        self._entries.labels(*labels).set(entries)
        self._size.labels(*labels).set(size_bytes)

    def invalidated(self, cache: str, *, level: str, entries: int = 1) -> None:
        """Count entries that an invalidation made unusable."""
        self._invalidations.labels(self._cache(cache), self._level(level)).inc(entries)
