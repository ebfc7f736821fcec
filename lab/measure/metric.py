"""The metrics of every experiment, from the load generator's recordings and from the arm's own metrics."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Literal

from lab.core.snapshot import Snapshot
from lab.load.latencies import Latencies
from lab.load.recording import Recording

Better = Literal["lower", "higher"]


@dataclass(frozen=True, kw_only=True)
class ArmRound:
    """One arm in one round: recordings of the load generator, and the arm's own metrics."""

    open_loop: Recording
    """The same requests for every arm of the round."""
    closed_loop: Recording | None = None
    open_loop_delta: Snapshot = field(default_factory=lambda: Snapshot({}))
    """Increase of the arm's metrics during the open loop."""
    closed_loop_delta: Snapshot = field(default_factory=lambda: Snapshot({}))
    final_metrics: Snapshot = field(default_factory=lambda: Snapshot({}))
    """The arm's metrics at the end of the round."""


@dataclass(frozen=True, kw_only=True)
class Quantile:
    share: float
    of: Callable[[ArmRound], Latencies]


@dataclass(frozen=True, kw_only=True)
class Metric:
    name: str
    title: str
    unit: str
    """`s`, `bytes`, `1/s`, `share`, or what is counted."""
    better: Better = "lower"
    of: Callable[[ArmRound], float | None]
    """Returns None if the round has no value."""
    quantile: "Quantile | None" = None
    """For quantiles of latencies, whose effect is computed from the pooled latencies of all rounds."""
    varies_by_round: bool = True
    """False for metrics of the process: all rounds are one observation of it."""


def _latency(name: str, title: str, share: float, of: Callable[[ArmRound], Latencies]) -> Metric:
    return Metric(
        name=name,
        title=title,
        unit="s",
        of=lambda arm: of(arm).quantile(share),
        quantile=Quantile(share=share, of=of),
    )


def _overall(arm: ArmRound) -> Latencies:
    return arm.open_loop.overall()


def _of_kind(kind: str, arm: ArmRound) -> Latencies:
    return arm.open_loop.latencies.get(kind, Latencies())


def _per_response(total: float | None, recording: Recording | None) -> float | None:
    responses = recording.responses.total() if recording else 0
    return total / responses if total is not None and responses else None


def _per_request(name: str, unit: str, sample: str, **labels: str) -> Metric:
    return Metric(
        name=name,
        title=name.replace("_", " "),
        unit=unit,
        of=lambda arm: _per_response(arm.open_loop_delta.total(sample, **labels), arm.open_loop),
    )


def _bytes_per_response(arm: ArmRound) -> float | None:
    return _per_response(arm.open_loop.received_bytes.total(), arm.open_loop)


def _kind_bytes(kind: str, arm: ArmRound) -> float | None:
    responses = arm.open_loop.responses[kind]
    return arm.open_loop.received_bytes[kind] / responses if responses else None


def _hit_ratio(arm: ArmRound) -> float | None:
    """Return the share of cache lookups with a hit at any level."""
    hits = looked_up = 0.0
    for cache in arm.open_loop_delta.totals_by("cache_requests_total", "cache"):
        levels = arm.open_loop_delta.totals_by("cache_requests_total", "level", cache=cache)
        missed = []
        for level in levels:
            results = arm.open_loop_delta.totals_by("cache_requests_total", "result", cache=cache, level=level)
            missed.append(results.get("miss", 0.0) + results.get("error", 0.0))
            hits += sum(results.get(result, 0.0) for result in ("hit", "stale", "coalesced"))
            looked_up += sum(results.get(result, 0.0) for result in ("hit", "stale", "coalesced"))
        looked_up += min(missed)  # a miss before the last level is looked up again there
    return hits / looked_up if looked_up else None


def _error_share(arm: ArmRound) -> float | None:
    return arm.open_loop.server_errors / arm.open_loop.requests if arm.open_loop.requests else None


METRICS: Final = (
    _latency("p50_s", "p50 latency", 0.5, _overall),
    _latency("p95_s", "p95 latency", 0.95, _overall),
    _latency("p99_s", "p99 latency", 0.99, _overall),
    Metric(
        name="throughput_per_s",
        title="throughput",
        unit="1/s",
        better="higher",
        of=lambda arm: arm.closed_loop.throughput_per_s if arm.closed_loop else None,
    ),
    Metric(
        name="cpu_per_request_s",
        title="CPU per request",
        unit="s",
        of=lambda arm: _per_response(arm.closed_loop_delta.total("process_cpu_seconds_total"), arm.closed_loop),
    ),
    _per_request("queries_per_request", "queries", "db_queries_per_request_sum"),
    _per_request("connects_per_request", "connects", "db_client_connection_create_time_seconds_count"),
    _per_request("upstream_connects_per_request", "connects", "upstream_connects_total"),
    Metric(name="bytes_per_response", title="bytes per response", unit="bytes", of=_bytes_per_response),
    Metric(name="hit_ratio", title="cache hit ratio", unit="share", better="higher", of=_hit_ratio),
    Metric(
        name="loop_lag_p99_s",
        title="p99 event-loop lag",
        unit="s",
        of=lambda arm: arm.open_loop_delta.quantile("event_loop_lag_seconds", 0.99),
    ),
    Metric(
        name="memory_bytes",
        title="memory",
        unit="bytes",
        of=lambda arm: arm.final_metrics.total("process_resident_memory_bytes"),
        varies_by_round=False,
    ),
    _latency("slow_link_p50_s", "p50 latency on a slow link", 0.5, lambda arm: arm.open_loop.slow_link),
    Metric(name="error_share", title="error rate", unit="share", of=_error_share),
)
"""Over all requests."""

SPECIAL: Final = (
    _per_request(
        "primary_queries_per_request", "queries", "db_client_operation_duration_seconds_count", pool="primary"
    ),
)
"""Reported only as a headline: otherwise they repeat another metric."""


def metrics_of_kind(kind: str) -> tuple[Metric, ...]:
    """Return the metrics of one kind of request, which their names start with."""
    return (
        _latency(f"{kind}.p50_s", f"{kind} p50 latency", 0.5, partial(_of_kind, kind)),
        _latency(f"{kind}.p95_s", f"{kind} p95 latency", 0.95, partial(_of_kind, kind)),
        Metric(
            name=f"{kind}.bytes_per_response",
            title=f"{kind} bytes per response",
            unit="bytes",
            of=partial(_kind_bytes, kind),
        ),
    )


def metric_named(name: str) -> Metric:
    """Return a metric by its name, such as `p95_s` or `report.p95_s`; raise `KeyError` if it does not exist."""
    kind, _, _ = name.rpartition(".")
    known = {metric.name: metric for metric in (*METRICS, *SPECIAL, *metrics_of_kind(kind))}
    return known[name]
