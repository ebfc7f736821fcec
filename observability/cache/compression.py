"""Compression: bytes before and after, and time, by encoding."""

from collections.abc import Iterator
from threading import Lock
from typing import Final

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, Metric

from observability.core.collector import DescribedCollector
from observability.core.labels import BoundedValues
from observability.metrics.histogram import exemplar

ENCODINGS: Final = ("identity", "gzip", "br", "zstd", "deflate")
"""The values of the label `encoding`; any other is `other`."""

DURATION_BUCKETS_S: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)


class _Bodies:
    """The counts of one encoding, for bodies that were compressed for a response or reused."""

    __slots__ = ("after_bytes", "before_bytes", "count")

    def __init__(self) -> None:
        self.count = self.before_bytes = self.after_bytes = 0


class CompressionMetrics(DescribedCollector):
    """Count response bodies before and after compression, and time the compression itself.

    Most bodies are stored variants, sent without compressing, so counting one adds to plain numbers, which become
    samples at a scrape.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._encoding = BoundedValues.closed(ENCODINGS)
        self._bodies: dict[tuple[str, bool], _Bodies] = {}
        self._lock = Lock()
        self._duration = Histogram(
            "compression_duration_seconds",
            "Time to compress one body; reused variants are not counted.",
            ("encoding",),
            buckets=DURATION_BUCKETS_S,
            registry=registry,
        )
        registry.register(self)

    def observe(self, *, encoding: str, before_bytes: int, after_bytes: int, seconds: float) -> None:
        """Count a body; `seconds` is 0.0 for a stored variant, which was not compressed again."""
        reused = seconds <= 0.0 and encoding != "identity"
        bodies = self._bodies.get((encoding, reused))
        if bodies is None:
            encoding = self._encoding(encoding)
            bodies = self._bodies.setdefault((encoding, reused), _Bodies())
        with self._lock:
            bodies.count += 1
            bodies.before_bytes += before_bytes
            bodies.after_bytes += after_bytes
        if seconds > 0.0:
            self._duration.labels(self._encoding(encoding)).observe(seconds, exemplar())

    def collect(self) -> Iterator[Metric]:
        responses = CounterMetricFamily(
            "compression_responses",
            "Response bodies by content coding; `reused` is whether a stored variant was sent.",
            labels=("encoding", "reused"),
        )
        before = CounterMetricFamily("compression_before_bytes", "Body bytes before compression.", labels=("encoding",))
        after = CounterMetricFamily("compression_after_bytes", "Body bytes after compression.", labels=("encoding",))
        by_encoding: dict[str, list[_Bodies]] = {}
        for (encoding, reused), bodies in sorted(self._bodies.copy().items()):
            responses.add_metric((encoding, str(reused).lower()), bodies.count)
            by_encoding.setdefault(encoding, []).append(bodies)
        for encoding, parts in by_encoding.items():
            before.add_metric((encoding,), sum(part.before_bytes for part in parts))
            after.add_metric((encoding,), sum(part.after_bytes for part in parts))
        yield from (responses, before, after)
