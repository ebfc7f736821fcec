"""Upstream calls of the service: duration, failures, connections, circuit breaker."""

from grafana_foundation_sdk.builders.timeseries import Panel

from grafana import units
from grafana.panels.timeseries import time_series, with_threshold_line
from grafana.query import ARM, arm_or_job, quantile, query, top_expr
from grafana.thresholds import above_is_bad
from prometheus.slo import Limits


def calls(limits: Limits) -> list[Panel]:
    return [_durations(), _failures(limits), _connects(), _circuit(), _stale()]


def _durations() -> Panel:
    waited = quantile(0.95, "http_client_request_duration_seconds", by="job, arm, client")
    return time_series(
        "Upstream calls, p95",
        "Time from sending a request to the head of its response, by arm and client. When it rises on every arm, the "
        "upstream is slow; on one arm only, look at the connections on the right.",
        query(arm_or_job(top_expr(waited)), "{{arm}} {{client}}"),
        unit=units.SECONDS,
    ).span(8)


def _failures(limits: Limits) -> Panel:
    limit = limits.upstream_failure_ratio
    by = "sum by (job, arm, client)"
    own = f"http_client_request_duration_seconds_count{{{ARM}"
    clients = _share(f"{by} (rate({own}}}[$window]))", f'{by} (rate({own}, code=~"5..|timeout|error"}}[$window]))')
    upstreams = _share(
        _by_client(f"upstream_requests_total{{{ARM}}}"),
        _by_client(f'upstream_requests_total{{{ARM}, outcome=~"failed|timeout|circuit_open"}}'),
    )
    panel = with_threshold_line(
        time_series(
            "Failed upstream calls",
            "Share of calls that ended in a 5xx response, a timeout or an error, by arm and upstream. Good is zero; "
            f"from the dashed line on ({limit:.0%}) the alert UpstreamFailing fires.",
            query(arm_or_job(top_expr(f"({upstreams} or {clients})")), "{{arm}} {{client}}"),
            unit=units.SHARE,
        ),
        above_is_bad(limit),
    )
    return panel.axis_soft_max(limit).span(8)


def _share(every: str, failed: str) -> str:
    return f"({failed} or {every} * 0) / ({every} > 0)"


def _by_client(series: str) -> str:
    """Return the rate of calls by upstream, in the label `client` that the other metric has."""
    return f'sum by (job, arm, client) (label_replace(rate({series}[$window]), "client", "$1", "upstream", "(.*)"))'


def _connects() -> Panel:
    def of_each(metric: str) -> str:
        return f"sum by (job, arm) (rate({metric}{{{ARM}}}[$window]))"

    own = "http_client_connect_duration_seconds_count"
    return time_series(
        "Connections opened to upstreams",
        "New TCP connections per second, by arm. With connection reuse this is nearly zero; without, every call "
        "opens one and waits for it.",
        query(arm_or_job(f"({of_each('upstream_connects_total')} or {of_each(own)})"), "{{arm}}"),
        unit=units.EVENTS_PER_SECOND,
    ).span(8)


def _circuit() -> Panel:
    return time_series(
        "Open and half-open circuits",
        "1 while the circuit of an upstream is open, so that calls fail at once, or half-open, for one trial call. "
        "Good is zero: calls go through.",
        query(
            arm_or_job(top_expr(f'sum by (job, arm, upstream) (upstream_circuit_state{{{ARM}, state!="closed"}})')),
            "{{arm}} {{upstream}}",
        ),
        unit=units.COUNT,
    ).max(1)


def _stale() -> Panel:
    panel = time_series(
        "Stale upstream responses served",
        "Requests per second that were served with an earlier response because the upstream fails now. It keeps "
        "clients served during a fault; without a fault it is zero.",
        query(
            arm_or_job(
                top_expr(f"sum by (job, arm, upstream) (rate(upstream_stale_responses_total{{{ARM}}}[$window]))")
            ),
            "{{arm}} {{upstream}}",
        ),
        unit=units.EVENTS_PER_SECOND,
    )
    return panel.axis_soft_max(1)
