"""What compression saves and costs: bytes before and after, and time spent, by encoding."""

from prometheus_client import CollectorRegistry, Counter, Histogram

from observability.exemplar import exemplar
from observability.labels import BoundedValues

ENCODINGS = ("identity", "gzip", "br", "zstd", "deflate")
"""The content codings that are told apart; any other is `other`."""

DURATION_BUCKETS_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)


class CompressionMetrics:
    """Count response bodies before and after compression, and time the compression itself."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._encoding = BoundedValues.closed(ENCODINGS)
        self._responses = Counter(
            "compression_responses_total",
            "Response bodies by content coding; `reused` says whether a stored variant made compressing unnecessary.",
            ("encoding", "reused"),
            registry=registry,
        )
        self._before = Counter(
            "compression_before_bytes_total", "Body bytes before compression.", ("encoding",), registry=registry
        )
        self._after = Counter(
            "compression_after_bytes_total", "Body bytes after compression.", ("encoding",), registry=registry
        )
        self._duration = Histogram(
            "compression_duration_seconds",
            "Time that compressing one body took; a reused variant is not in it.",
            ("encoding",),
            buckets=DURATION_BUCKETS_S,
            registry=registry,
        )

    def observe(self, *, encoding: str, before_bytes: int, after_bytes: int, seconds: float) -> None:
        """Count one body; `seconds` is 0.0 when a stored variant was sent and nothing was compressed."""
        encoding = self._encoding(encoding)
        reused = seconds <= 0.0 and encoding != "identity"
        self._responses.labels(encoding, str(reused).lower()).inc()
        self._before.labels(encoding).inc(before_bytes)
        self._after.labels(encoding).inc(after_bytes)
        if seconds > 0.0:
            self._duration.labels(encoding).observe(seconds, exemplar())
