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

from observability.compat.prometheus_client import metric_names, registered_collectors
from observability.core.collector import DescribedCollector
from observability.core.labels import OTHER
from observability.http.series import Series
from observability.metrics.histogram import BucketCounts, HistogramFamily, LabelValues
from observability.request.custom_labels import CustomLabels
from observability.request.record import METHODS, RequestRecord
from observability.request.route_table import UNMATCHED

FLUSH_BATCH_SIZE: Final = 100
"""Requests of a series that are counted together."""

HIGH_RESOLUTION_S: Final = (
    0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 7.5, 10, 30, 60,
)  # fmt: skip
"""The instrumentator's bounds for the histogram without labels."""


class HttpMetrics(DescribedCollector):
    """Counts and times requests by route template, method and status; `active` are those in progress.

    The label `status` is the class of the status code, as the instrumentator groups it, and `code` is the exact one.
    Only the counter has `code`: a histogram is a dozen series for each value.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        bounds_s: Sequence[float],
        labels: CustomLabels | None = None,
        with_semconv_names: bool = False,
        yields: bool = False,
    ) -> None:
        """With `yields`, leave out what other collectors of the registry have under the same names."""
        self._left_out = metric_names(registry) if yields and not _has_http_metrics(registry) else frozenset()
        fine = tuple(sorted({*bounds_s, *HIGH_RESOLUTION_S}))
        self._bounds = fine
        self._by_handler = HistogramFamily(counted_s=fine, bounds_s=sorted(bounds_s))
        self._overall = HistogramFamily(counted_s=fine, bounds_s=fine)
        self._labels = labels
        self._own_names = labels.names if labels is not None else ()
        self._with_semconv_names = with_semconv_names
        self._series: dict[tuple[str | int, ...], Series] = {}
        self._lock = Lock()
        self._help = _instrumentator_help()
        self._background_errors: dict[LabelValues, int] = {}
        self.active: set[RequestRecord] = set()
        registry.register(self)

    def series(self, handler: str, method: str, status: int | str, own: LabelValues = ()) -> Series:
        """Return the series of these labels; unknown methods and invalid status codes are `other`."""
        method = method if method in METHODS else OTHER
        if isinstance(status, int) and not 100 <= status <= 599:
            status = OTHER
        key = (handler, method, status, *own)
        found = self._series.get(key)
        if found is None:
            new = Series((handler, method, status), own=own, bounds_s=self._bounds)
            found = self._series.setdefault(key, new)
        return found

    def observe(self, record: RequestRecord, handler: str, status: int | str, ended: float) -> None:
        """Record a request that ended at this reading of `perf_counter`.

        Requests are counted in batches: that takes a tenth of the time of counting them one by one.
        """
        method = record.scope["method"]
        if self._labels is None:
            series = self._series.get((handler, method, status)) or self.series(handler, method, status)
        else:
            series = self.series(handler, method, status, self._labels.values(record))
        pending, started = series.pending, record.started
        request = (
            ended - started,
            record.first_byte - started,
            record.last_byte - started,
            record.received,
            record.sent,
        )
        if record.sampled or record.is_logged:
            series.pending_exemplars.append((request, (record.trace_id, record.span_id, time())))
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
        return (family for family in self._families() if family.name not in self._left_out)

    def _families(self) -> Iterator[Metric]:
        every = sorted(self._series.copy().values(), key=_sort_key)
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
                own = series.own if phase == "whole" else ()
                counts.setdefault((*values, *own), []).append(getattr(series, phase))
            names = (*labels, *self._own_names) if phase == "whole" else labels
            yield self._by_handler.family(name, self._help[name], names, counts)
        if self._with_semconv_names:
            yield self._under_semconv_name(every)
        yield self._errors_in_background()
        yield GaugeMetricFamily("http_requests_inprogress", self._help["http_requests_inprogress"], len(self.active))

    def _requests(self, every: Sequence[Series]) -> Metric:
        family = CounterMetricFamily(
            "http_requests",
            self._help["http_requests"],
            labels=("method", "status", "code", "handler", *self._own_names),
        )
        for series in every:
            values = (series.method, series.status, series.code, series.handler, *series.own)
            family.add_metric(values, series.whole.count)
        return family

    def _under_semconv_name(self, every: Sequence[Series]) -> Metric:
        """Return the durations as OpenTelemetry's instrumentations name them; a label that does not apply is empty."""
        counts: dict[LabelValues, list[BucketCounts]] = {}
        for series in every:
            method = "_OTHER" if series.method == OTHER else series.method
            route = "" if series.handler == UNMATCHED else series.handler
            code = series.code if series.code.isdigit() else ""
            counts.setdefault((method, route, code), []).append(series.whole)
        name = "http_server_request_duration_seconds"
        labels = ("http_request_method", "http_route", "http_response_status_code")
        return self._by_handler.family(name, self._help["http_request_duration_seconds"], labels, counts)

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


def _has_http_metrics(registry: CollectorRegistry) -> bool:
    return any(isinstance(collector, HttpMetrics) for collector in registered_collectors(registry))


_PHASES: Final = (
    ("http_request_duration_seconds", "whole", ("method", "status", "handler")),
    ("http_response_first_byte_seconds", "first_byte", ("method", "handler")),
    ("http_response_last_byte_seconds", "last_byte", ("method", "handler")),
    ("http_background_seconds", "background", ("method", "handler")),
)


def _sort_key(series: Series) -> tuple[str, ...]:
    return series.handler, series.method, series.code, *series.own


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
