"""The metrics that every experiment is judged by: plain data, from what was seen outside and inside an arm."""

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
    """One arm in one round: seen from outside by the generator, and from inside by the arm's own metrics."""

    open_loop: Recording
    """Under the open loop: the same requests for every arm of the round."""
    closed_loop: Recording | None = None
    """Under the closed loop: as many requests as the arm could answer."""
    open_loop_delta: Snapshot = field(default_factory=lambda: Snapshot({}))
    """How much the arm's metrics grew under the open loop."""
    closed_loop_delta: Snapshot = field(default_factory=lambda: Snapshot({}))
    final_metrics: Snapshot = field(default_factory=lambda: Snapshot({}))
    """The arm's metrics at the end."""


@dataclass(frozen=True, kw_only=True)
class Quantile:
    """A quantile of some of a arm_round's latencies."""

    share: float
    of: Callable[[ArmRound], Latencies]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A figure of a arm_round."""

    name: str
    title: str
    unit: str
    """`s`, `bytes`, `1/s`, `share`, or what is counted."""
    better: Better
    of: Callable[[ArmRound], float | None]
    """Takes a arm_round; gives None where the arm_round does not tell."""
    quantile: "Quantile | None" = None
    """Set where the figure is a quantile of latencies: the effect on it is that of all rounds together."""
    varies_by_round: bool = True
    """False: it belongs to the process, and many rounds of one process are still one observation."""


def _latency(name: str, title: str, share: float, of: Callable[[ArmRound], Latencies]) -> Metric:
    """Return the metric of a quantile of latencies."""
    return Metric(
        name=name,
        title=title,
        unit="s",
        better="lower",
        of=lambda arm: of(arm).quantile(share),
        quantile=Quantile(share=share, of=of),
    )


def _overall(arm: ArmRound) -> Latencies:
    return arm.open_loop.overall()


def _of_kind(kind: str, arm: ArmRound) -> Latencies:
    return arm.open_loop.latencies.get(kind, Latencies())


def _per_answer(total: float | None, recording: Recording | None) -> float | None:
    answers = recording.responses.total() if recording else 0
    return total / answers if total is not None and answers else None


def _bytes_per_response(arm: ArmRound) -> float | None:
    return _per_answer(arm.open_loop.received_bytes.total(), arm.open_loop)


def _kind_bytes(kind: str, arm: ArmRound) -> float | None:
    answers = arm.open_loop.responses[kind]
    return arm.open_loop.received_bytes[kind] / answers if answers else None


def _hit_ratio(arm: ArmRound) -> float | None:
    """Return the share of cached answers: found at any level, of all that were looked up."""
    found = looked_up = 0.0
    for cache in arm.open_loop_delta.totals_by("cache_requests_total", "cache"):
        levels = arm.open_loop_delta.totals_by("cache_requests_total", "level", cache=cache)
        missed = []
        for level in levels:
            results = arm.open_loop_delta.totals_by("cache_requests_total", "result", cache=cache, level=level)
            missed.append(results.get("miss", 0.0) + results.get("error", 0.0))
            found += sum(results.get(result, 0.0) for result in ("hit", "stale", "coalesced"))
            looked_up += sum(results.get(result, 0.0) for result in ("hit", "stale", "coalesced"))
        looked_up += min(missed)  # the last level decides: what misses before it is looked up again there
    return found / looked_up if looked_up else None


def _error_share(arm: ArmRound) -> float | None:
    return arm.open_loop.server_errors / arm.open_loop.requests if arm.open_loop.requests else None


METRICS: Final = (
    _latency("p50_s", "latency, p50", 0.5, _overall),
    _latency("p95_s", "latency, p95", 0.95, _overall),
    _latency("p99_s", "latency, p99", 0.99, _overall),
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
        better="lower",
        of=lambda arm: _per_answer(arm.closed_loop_delta.total("process_cpu_seconds_total"), arm.closed_loop),
    ),
    Metric(
        name="queries_per_request",
        title="queries per request",
        unit="queries",
        better="lower",
        of=lambda arm: _per_answer(arm.open_loop_delta.total("db_queries_per_request_sum"), arm.open_loop),
    ),
    Metric(
        name="connects_per_request",
        title="connects per request",
        unit="connects",
        better="lower",
        of=lambda arm: _per_answer(
            arm.open_loop_delta.total("db_client_connection_create_time_seconds_count"), arm.open_loop
        ),
    ),
    Metric(
        name="upstream_connects_per_request",
        title="upstream connects per request",
        unit="connects",
        better="lower",
        of=lambda arm: _per_answer(arm.open_loop_delta.total("upstream_connects_total"), arm.open_loop),
    ),
    Metric(name="bytes_per_response", title="bytes on the wire", unit="bytes", better="lower", of=_bytes_per_response),
    Metric(name="hit_ratio", title="cache hit ratio", unit="share", better="higher", of=_hit_ratio),
    Metric(
        name="loop_lag_p99_s",
        title="event-loop lag, p99",
        unit="s",
        better="lower",
        of=lambda arm: arm.open_loop_delta.quantile("event_loop_lag_seconds", 0.99),
    ),
    Metric(
        name="memory_bytes",
        title="memory",
        unit="bytes",
        better="lower",
        of=lambda arm: arm.final_metrics.total("process_resident_memory_bytes"),
        varies_by_round=False,
    ),
    _latency("slow_link_p50_s", "latency on a slow link, p50", 0.5, lambda arm: arm.open_loop.slow_link),
    Metric(name="error_share", title="answers that are errors", unit="share", better="lower", of=_error_share),
)
"""For all requests together."""

SPECIAL: Final = (
    Metric(
        name="primary_queries_per_request",
        title="queries to the primary per request",
        unit="queries",
        better="lower",
        of=lambda arm: _per_answer(
            arm.open_loop_delta.total("db_client_operation_duration_seconds_count", pool="primary"),
            arm.open_loop,
        ),
    ),
)
"""Measured only where they decide: control they repeat another metric."""


def metrics_of_kind(kind: str) -> tuple[Metric, ...]:
    """Return the metrics of one kind of request; their names begin with it."""
    return (
        _latency(f"{kind}.p50_s", f"{kind}: latency, p50", 0.5, partial(_of_kind, kind)),
        _latency(f"{kind}.p95_s", f"{kind}: latency, p95", 0.95, partial(_of_kind, kind)),
        Metric(
            name=f"{kind}.bytes_per_response",
            title=f"{kind}: bytes on the wire",
            unit="bytes",
            better="lower",
            of=partial(_kind_bytes, kind),
        ),
    )


def metric_named(name: str) -> Metric:
    """Return a metric of all requests, or with a kind before its name, of that kind; raise `KeyError` for any other."""
    kind, _, _ = name.rpartition(".")
    known = {metric.name: metric for metric in (*METRICS, *SPECIAL, *metrics_of_kind(kind))}
    return known[name]
