"""Metrics of HTTP requests, under the names and labels of prometheus-fastapi-instrumentator.

The instrumentator defines the metrics. Its work per request takes a quarter of the time of a small route: it matches
the route again, builds a `Request` and a `Response`, resolves label values five times and locks every value. Here a
request is appended to a list, requests are counted in batches under one lock, and the counts become samples at a
scrape.
"""

from collections.abc import Iterator, Sequence
from threading import Lock
from time import time
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_fastapi_instrumentator import metrics as instrumentator

from observability.core.collector import DescribedCollector
from observability.core.labels import OTHER
from observability.metrics.histogram import BucketCounts, HistogramFamily, LabelValues
from observability.request.record import METHODS, RequestRecord

SHORTEST_BACKGROUND_S: Final = 0.001
"""Less time after the last byte is the framework's own work, not a background task."""

FLUSH_BATCH_SIZE: Final = 100
"""Requests of a series that are counted together."""

HIGH_RESOLUTION_S: Final = (
    0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 7.5, 10, 30, 60,
)  # fmt: skip
"""The instrumentator's bounds for the histogram without labels."""


_Pending = tuple[float, float, float, int, int]
"""A request before it is counted: seconds to its end, first and last byte (negative if there was none); bytes received
and sent."""

_PendingExemplar = tuple[_Pending, int, float]
"""A sampled request: its trace id, and its end in seconds since the epoch."""


class Series:
    __slots__ = (
        "background",
        "code",
        "first_byte",
        "handler",
        "last_byte",
        "method",
        "pending",
        "pending_exemplars",
        "received",
        "sent",
        "status",
        "whole",
    )  # fmt: skip

    def __init__(self, handler: str, method: str, code: int | str, bounds_s: Sequence[float]) -> None:
        self.handler, self.method, self.code = handler, method, str(code)
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
            requests, trace_ids, ends = zip(*sampled, strict=True)
            for durations, seconds in zip(every, _phases(requests), strict=True):
                durations.set_exemplars(zip(seconds, trace_ids, ends, strict=True))


def _phases(batch: Sequence[_Pending]) -> tuple[Sequence[float], ...]:
    """Return the seconds of whole requests, first bytes, last bytes and background work; negative if there was none."""
    whole, first_byte, last_byte, _, _ = zip(*batch, strict=True)
    after = [end - last if last >= 0 else -1.0 for end, last in zip(whole, last_byte, strict=True)]
    return whole, first_byte, last_byte, [seconds if seconds >= SHORTEST_BACKGROUND_S else -1.0 for seconds in after]


class HttpMetrics(DescribedCollector):
    """Counts and times requests by route template, method and status; `active` are those in progress.

    The label `status` is the class of the status code, as the instrumentator groups it, and `code` is the exact one.
    Only the counter has `code`: a histogram is a dozen series for each value.
    """

    def __init__(self, registry: CollectorRegistry, *, bounds_s: Sequence[float]) -> None:
        fine = tuple(sorted({*bounds_s, *HIGH_RESOLUTION_S}))
        self._bounds = fine
        self._by_handler = HistogramFamily(counted_s=fine, bounds_s=sorted(bounds_s))
        self._overall = HistogramFamily(counted_s=fine, bounds_s=fine)
        self._series: dict[tuple[str, str, int | str], Series] = {}
        self._lock = Lock()
        self._help = _instrumentator_help()
        self._background_errors: dict[LabelValues, int] = {}
        self.active: set[RequestRecord] = set()
        registry.register(self)

    def series(self, handler: str, method: str, status: int | str) -> Series:
        """Return the series of these labels; unknown methods and invalid status codes are `other`."""
        method = method if method in METHODS else OTHER
        if isinstance(status, int) and not 100 <= status <= 599:
            status = OTHER
        found = self._series.get((handler, method, status))
        if found is None:
            new = Series(handler, method, status, self._bounds)
            found = self._series.setdefault((handler, method, status), new)
        return found

    def observe(self, record: RequestRecord, handler: str, status: int | str, ended: float) -> None:
        """Record a request that ended at this reading of `perf_counter`.

        Requests are counted in batches: that takes a tenth of the time of counting them one by one.
        """
        method = record.scope["method"]
        series = self._series.get((handler, method, status)) or self.series(handler, method, status)
        pending, started = series.pending, record.started
        request = (
            ended - started,
            record.first_byte - started,
            record.last_byte - started,
            record.received,
            record.sent,
        )
        if record.sampled:
            series.pending_exemplars.append((request, record.trace_id, time()))
        pending.append(request)
        if len(pending) >= FLUSH_BATCH_SIZE and self._lock.acquire(blocking=False):
            try:
                series.flush()
            finally:
                self._lock.release()

    def observe_error(
        self, record: RequestRecord, *, handler: str, status: int | str, error: BaseException | None, **_: object
    ) -> None:
        """Count an exception that was raised after the complete response."""
        if not isinstance(error, Exception) or (isinstance(status, int) and status >= 500):
            return
        method = record.scope["method"]
        labels = (method if method in METHODS else OTHER, handler)
        with self._lock:
            self._background_errors[labels] = self._background_errors.get(labels, 0) + 1

    def collect(self) -> Iterator[Metric]:
        every = sorted(self._series.copy().values(), key=lambda series: (series.handler, series.method, series.code))
        with self._lock:
            for series in every:
                series.flush()
        yield self._requests(every)
        yield self._sizes("http_request_size_bytes", every, "received")
        yield self._sizes("http_response_size_bytes", every, "sent")
        overall: dict[LabelValues, list[BucketCounts]] = {(): [series.whole for series in every]} if every else {}
        name = "http_request_duration_highr_seconds"
        yield self._overall.family(name, self._help[name], (), overall)
        for name, phase, labels in _PHASES:
            counts: dict[LabelValues, list[BucketCounts]] = {}
            for series in every:
                values = tuple(getattr(series, label) for label in labels)
                counts.setdefault(values, []).append(getattr(series, phase))
            yield self._by_handler.family(name, self._help[name], labels, counts)
        yield self._errors_in_background()
        yield GaugeMetricFamily("http_requests_inprogress", self._help["http_requests_inprogress"], len(self.active))

    def _requests(self, every: Sequence[Series]) -> Metric:
        family = CounterMetricFamily(
            "http_requests", self._help["http_requests"], labels=("method", "status", "code", "handler")
        )
        for series in every:
            family.add_metric((series.method, series.status, series.code, series.handler), series.whole.count)
        return family

    def _errors_in_background(self) -> Metric:
        name = "http_background_errors"
        family = CounterMetricFamily(name, self._help[name], labels=("method", "handler"))
        for labels, number in sorted(self._background_errors.copy().items()):
            family.add_metric(labels, number)
        return family

    def _sizes(self, name: str, every: Sequence[Series], side: str) -> Metric:
        sums: dict[str, tuple[int, int]] = {}
        for series in every:
            count, size = sums.get(series.handler, (0, 0))
            sums[series.handler] = count + series.whole.count, size + getattr(series, side)
        family = SummaryMetricFamily(name, self._help[name], labels=("handler",))
        for handler, (count, size) in sums.items():
            family.add_metric((handler,), count_value=count, sum_value=size)
        return family


_PHASES: Final = (
    ("http_request_duration_seconds", "whole", ("method", "status", "handler")),
    ("http_response_first_byte_seconds", "first_byte", ("method", "handler")),
    ("http_response_last_byte_seconds", "last_byte", ("method", "handler")),
    ("http_background_seconds", "background", ("method", "handler")),
)


def _instrumentator_help() -> dict[str, str]:
    """Return the help of every metric: the instrumentator's, where it is correct here."""
    definitions = CollectorRegistry()
    instrumentator.default(registry=definitions)
    return {metric.name: metric.documentation for metric in definitions.collect()} | {
        "http_requests": "Requests by method, status class, status code and handler.",
        "http_request_size_bytes": "Bytes of request bodies that were read.",
        "http_response_size_bytes": "Bytes of response bodies that were sent, after compression.",
        "http_request_duration_seconds": "Time from a request until the application returned, after background tasks.",
        "http_request_duration_highr_seconds": "Duration of requests to all handlers, with many buckets.",
        "http_response_first_byte_seconds": "Time from a request to the start of its response.",
        "http_response_last_byte_seconds": "Time from a request to the last byte of its response.",
        "http_background_seconds": "Time from the last byte until the application returned, if it is 1 ms or more.",
        "http_background_errors": "Requests that raised after a complete response, as background tasks do.",
        "http_requests_inprogress": "Requests in progress.",
    }
