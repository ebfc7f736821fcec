"""How many statements requests execute, counted in plain numbers: most requests that a cache answers execute none."""

from collections.abc import Iterator
from threading import Lock
from time import time
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from observability.durations import Durations, HistogramView, LabelValues
from observability.request import RequestRecord

BUCKETS: Final = (0, 1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 50, 100, 200, 500, 1000)


class QueriesPerRequest(Collector):
    """The histogram `db_queries_per_request{method,handler}`; statements are counted as `Durations` counts seconds."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._counted: dict[LabelValues, Durations] = {}
        self._lock = Lock()
        self._view = HistogramView(counted_s=BUCKETS, bounds_s=BUCKETS)
        registry.register(self)

    def observe(self, request: RequestRecord, statements: int, *, method: str, handler: str) -> None:
        """Count a request that executed so many statements."""
        counted = self._counted.get((method, handler))
        if counted is None:
            counted = self._counted.setdefault((method, handler), Durations(BUCKETS))
        with self._lock:
            counted.observe(statements, (request.trace_id, time()) if request.sampled else None)

    def collect(self) -> Iterator[Metric]:
        """Yield the samples of every request so far."""
        counted = dict(sorted(self._counted.copy().items()))
        yield self._view.family(
            "db_queries_per_request",
            "Statements that one request executed.",
            ("method", "handler"),
            {values: [one] for values, one in counted.items()},
        )
