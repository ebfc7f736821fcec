"""Checks of the metrics of a running service."""

import re
from collections.abc import Iterator
from typing import Final

from prometheus_client import Metric

from observability.doctor.check import Check, CouldNotLook, check
from observability.doctor.scrape import NoMetrics, Scrape
from observability.doctor.service import ForeignMetrics, Service

ROUTE_LABELS: Final = ("handler", "route", "http_route", "path", "endpoint", "http_target", "path_template")
OLD_LABELS: Final = ("http_method", "http_status_code", "http_target", "http_scheme", "net_host_name", "net_peer_name")
MANY_VALUES: Final = 200
"""Number of values of a label that suggests user input."""

_HEX_ID: Final = re.compile(r"[0-9a-fA-F]{32}")


SERVICE_CHECKS: Final[list[Check[Service]]] = []


@check(SERVICE_CHECKS, fix="call observability.instrument(app), or pass their address in --metrics-url")
def no_metrics(service: Service) -> Iterator[str]:
    """A service without metrics."""
    if isinstance(service.found, NoMetrics):
        yield f"no metrics at {service.found}"
    elif isinstance(service.found, ForeignMetrics):
        raise CouldNotLook(str(service.found))


@check(
    SERVICE_CHECKS,
    fix="remove the /metrics route; instrument() serves them on a separate port (OTEL_EXPORTER_PROMETHEUS_PORT)",
)
def public_metrics(service: Service) -> Iterator[str]:
    """Metrics on the port that clients use."""
    if isinstance(service.public_metrics, Scrape):
        yield f"{service.public_metrics.url} shows the metrics to every client of the service"


@check(SERVICE_CHECKS, fix="negotiate the format, as prometheus_client's start_http_server and choose_encoder do")
def no_openmetrics(service: Service) -> Iterator[str]:
    """An exposition format without exemplars."""
    if not service.metrics.is_openmetrics:
        yield f"{service.metrics.url} returns {service.metrics.content_type!r} to a client that prefers OpenMetrics"


@check(SERVICE_CHECKS, fix="pass exemplar={'trace_id': …} to observe() inside sampled traces")
def no_exemplars(service: Service) -> Iterator[str]:
    """Latency histograms without exemplars of traces."""
    metrics = service.metrics
    if not metrics.is_openmetrics:
        raise CouldNotLook("the metrics are not in the OpenMetrics format")
    latencies = _latencies(metrics.histograms())
    if not latencies:
        raise CouldNotLook("no latency histogram has observations")
    exemplars = [s.exemplar.labels for family in latencies for s in family.samples if s.exemplar]
    if not any(_is_trace_id(label, value) for labels in exemplars for label, value in labels.items()):
        names = ", ".join(family.name for family in latencies)
        yield f"{len(service.responses)} traced requests left no trace id on {names}"


@check(SERVICE_CHECKS, fix="add a bucket bound at each objective (OBSERVABILITY_SLO_THRESHOLDS_S)")
def slo_bucket_missing(service: Service) -> Iterator[str]:
    """Latency objectives between two bucket bounds."""
    latencies = _latencies(service.metrics.families)
    if not latencies:
        raise CouldNotLook("there is no latency histogram")
    by_route = [f for f in latencies if any(label in s.labels for s in f.samples for label in ROUTE_LABELS)]
    bounds = {bound for family in by_route or latencies for bound in _bounds_s(family)}
    for threshold in service.slo_thresholds_s:
        if bounds and threshold not in bounds:
            others = ", ".join(f"{bound:g}" for bound in sorted(bounds))
            yield f"no latency bucket ends at {threshold:g} s, so its objective cannot be measured; bounds: {others}"


@check(
    SERVICE_CHECKS,
    fix="label by route template and known methods, never by headers; the rest is `unmatched` or `other`",
)
def unbounded_labels(service: Service) -> Iterator[str]:
    """Label values that come from clients, each a new time series."""
    values: dict[tuple[str, str], set[str]] = {}
    for family in service.metrics.families:
        for sample in family.samples:
            for label, value in sample.labels.items():
                values.setdefault((family.name, label), set()).add(value)
    for (metric, label), seen in sorted(values.items()):
        if any(service.token in value.lower() for value in seen):
            yield f"the label {label!r} of {metric} repeats what a client sent"
        elif label != "le" and len(seen) > MANY_VALUES:
            yield f"the label {label!r} of {metric} has {len(seen)} values"


@check(SERVICE_CHECKS, fix="set OTEL_SEMCONV_STABILITY_OPT_IN=http,database before the first instrumentation")
def old_conventions(service: Service) -> Iterator[str]:
    """Metrics in the old semantic conventions."""
    for family in service.metrics.families:
        labels = {label for sample in family.samples for label in sample.labels}
        old = labels.intersection(OLD_LABELS)
        if family.name.startswith(("http_server_", "http_client_")) and old:
            yield f"{family.name} has the labels {', '.join(sorted(old))} of the old semantic conventions"
        elif family.name.startswith("db_client_connections_"):
            yield f"{family.name} is the name of the old semantic conventions"


@check(
    SERVICE_CHECKS,
    fix="give each worker its own metrics port and let Prometheus discover them, or run one worker per container",
)
def shared_metrics_endpoint(service: Service) -> Iterator[str]:
    """Several workers behind one metrics address."""
    starts = {scrape.value("process_start_time_seconds") for scrape in service.repeated_metrics} - {None}
    if not starts:
        raise CouldNotLook("there is no process_start_time_seconds, by which processes differ")
    if len(starts) > 1:
        yield f"{service.metrics.url} responded from {len(starts)} processes by turns: their counters are mixed"


@check(
    SERVICE_CHECKS,
    fix="register a ProcessCollector; instead of PROMETHEUS_MULTIPROC_DIR give each worker its own metrics port",
)
def no_process_metrics(service: Service) -> Iterator[str]:
    """No metrics of CPU, memory and open files, as in multiprocess mode."""
    if service.metrics.value("process_cpu_seconds_total") is None:
        yield f"{service.metrics.url} has no process_cpu_seconds_total: multiprocess mode, or no ProcessCollector"


@check(SERVICE_CHECKS, fix="send X-Trace-Id; instrument() does")
def no_trace_id(service: Service) -> Iterator[str]:
    """Responses without their trace id."""
    names = ("x-trace-id", "traceresponse")
    if not any(name in response.headers for response in service.responses for name in names):
        yield "responses have neither X-Trace-Id nor traceresponse: a reported problem cannot be matched with its trace"


def _is_trace_id(label: str, value: str) -> bool:
    return "traceid" in re.sub(r"\W|_", "", label.lower()) or bool(_HEX_ID.fullmatch(value))


def _latencies(families: list[Metric]) -> list[Metric]:
    return [
        family
        for family in families
        if family.type == "histogram"
        and family.name.startswith(("http_", "request_", "requests_", "starlette_", "fastapi_"))
        and family.name.endswith(("_seconds", "_milliseconds", "_duration", "_latency"))
    ]


def _bounds_s(family: Metric) -> Iterator[float]:
    scale = 1000 if family.name.endswith("_milliseconds") else 1
    for sample in family.samples:
        if sample.name.endswith("_bucket") and sample.labels["le"] != "+Inf":
            yield float(sample.labels["le"]) / scale
