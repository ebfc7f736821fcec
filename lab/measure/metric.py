"""The metrics of every experiment, from the load generator's recordings and from the arm's own metrics."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from math import exp
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
    """A list of requests to complete, the same for every arm of the round."""
    cold: Recording | None = None
    """The same reads before both loops, of an arm with caches: what the first request for a target finds."""
    open_loop_delta: Snapshot = field(default_factory=lambda: Snapshot({}))
    """Increase of the arm's metrics during the open loop."""
    closed_loop_delta: Snapshot = field(default_factory=lambda: Snapshot({}))
    final_metrics: Snapshot = field(default_factory=lambda: Snapshot({}))
    """The arm's metrics at the end of the round."""

    @property
    def recordings(self) -> list[Recording]:
        return [self.open_loop] if self.closed_loop is None else [self.open_loop, self.closed_loop]

    @property
    def needed(self) -> int:
        """What clients needed in both loops."""
        return sum(recording.needed for recording in self.recordings)


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
    parts: Callable[[ArmRound], tuple[float, float] | None] | None = None
    """Numerator and denominator of what is counted per request; the rounds' sums give the effect."""
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


def _counted(name: str, title: str, unit: str, parts: Callable[[ArmRound], tuple[float, float] | None]) -> Metric:
    def per_request(arm: ArmRound) -> float | None:
        counted = parts(arm)
        return counted[0] / counted[1] if counted else None

    return Metric(name=name, title=title, unit=unit, of=per_request, parts=parts)


def _per_request(name: str, unit: str, sample: str, **labels: str) -> Metric:
    """Count what the arm counts, in both loops, per request of a client."""

    def parts(arm: ArmRound) -> tuple[float, float] | None:
        counts = [delta.total(sample, **labels) for delta in (arm.open_loop_delta, arm.closed_loop_delta)]
        counted = [count for count in counts if count is not None]
        return (sum(counted), arm.needed) if counted and arm.needed else None

    return _counted(name, name.replace("_", " "), unit, parts)


def _bytes(arm: ArmRound) -> tuple[float, float] | None:
    return (sum(each.received_bytes.total() for each in arm.recordings), arm.needed) if arm.needed else None


def _sent(arm: ArmRound) -> tuple[float, float] | None:
    return (sum(each.responses.total() for each in arm.recordings), arm.needed) if arm.needed else None


def _kind_bytes(kind: str, arm: ArmRound) -> tuple[float, float] | None:
    needed = sum(each.responses[kind] + each.not_needed[kind] for each in arm.recordings)
    return (sum(each.received_bytes[kind] for each in arm.recordings), needed) if needed else None


def _mean_s(arm: ArmRound) -> float | None:
    """Return the mean latency; a response that the client has already takes no time."""
    recorded = arm.open_loop.overall()
    needed = len(recorded) + arm.open_loop.not_needed.total()
    return recorded.total() / needed if len(recorded) else None


def _typical_s(arm: ArmRound) -> float | None:
    """Return the geometric mean: with the same requests in both arms, the ratio is that of the same request."""
    recorded = arm.open_loop.overall()
    return exp(recorded.log_total() / len(recorded)) if len(recorded) else None


def _kind_mean_s(kind: str, arm: ArmRound) -> float | None:
    recorded = _of_kind(kind, arm)
    needed = len(recorded) + arm.open_loop.not_needed[kind]
    return recorded.total() / needed if len(recorded) else None


def _cpu_per_request_s(arm: ArmRound) -> float | None:
    spent = arm.closed_loop_delta.total("process_cpu_seconds_total")
    needed = arm.closed_loop.needed if arm.closed_loop else 0
    return spent / needed if spent is not None and needed else None


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


def _loop_lag(arm: ArmRound) -> tuple[float, float] | None:
    lag_s, observations = (arm.open_loop_delta.total(f"event_loop_lag_seconds_{part}") for part in ("sum", "count"))
    return (lag_s, observations) if lag_s is not None and observations else None


def _error_share(arm: ArmRound) -> float | None:
    return arm.open_loop.server_errors / arm.open_loop.requests if arm.open_loop.requests else None


METRICS: Final = (
    Metric(name="mean_s", title="mean latency", unit="s", of=_mean_s),
    Metric(name="typical_s", title="latency of the same request", unit="s", of=_typical_s),
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
    Metric(name="cpu_per_request_s", title="CPU per request", unit="s", of=_cpu_per_request_s),
    _per_request("queries_per_request", "queries", "db_queries_per_request_sum"),
    _per_request("connects_per_request", "connects", "db_client_connection_create_time_seconds_count"),
    _per_request("upstream_connects_per_request", "connects", "upstream_connects_total"),
    _counted("bytes_per_request", "bytes per request", "bytes", _bytes),
    _counted("sent_share", "requests that reach the service", "share", _sent),
    Metric(name="hit_ratio", title="cache hit ratio", unit="share", better="higher", of=_hit_ratio),
    _counted("loop_lag_mean_s", "mean event-loop lag", "s", _loop_lag),
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
        "primary_queries_per_request",
        "queries",
        "db_client_operation_duration_seconds_count",
        db_client_connection_pool_name="primary",
    ),
)
"""Reported only as a headline: otherwise they repeat another metric."""


def metrics_of_kind(kind: str) -> tuple[Metric, ...]:
    """Return the metrics of one kind of request, which their names start with."""
    return (
        _latency(f"{kind}.p50_s", f"{kind} p50 latency", 0.5, partial(_of_kind, kind)),
        _latency(f"{kind}.p95_s", f"{kind} p95 latency", 0.95, partial(_of_kind, kind)),
        Metric(name=f"{kind}.mean_s", title=f"{kind} mean latency", unit="s", of=partial(_kind_mean_s, kind)),
        _counted(f"{kind}.bytes_per_request", f"{kind} bytes per request", "bytes", partial(_kind_bytes, kind)),
    )


def metric_named(name: str) -> Metric:
    """Return a metric by its name, such as `p95_s` or `report.p95_s`; raise `KeyError` if it does not exist."""
    kind, _, _ = name.rpartition(".")
    known = {metric.name: metric for metric in (*METRICS, *SPECIAL, *metrics_of_kind(kind))}
    return known[name]
