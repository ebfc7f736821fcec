"""The first row of the service's board."""

from grafana_foundation_sdk.builders.stat import Panel

from grafana import units
from grafana.panels.stat import stat
from grafana.query import JOB, JOB_AND_HANDLER, instant
from grafana.thresholds import above_is_bad, below_is_bad
from prometheus.slo import Objectives


def overview(objectives: Objectives) -> list[Panel]:
    """Return six numbers: rate, errors, duration, requests in flight, error budget, alerts."""
    strictest = objectives.strictest
    slowest, *others = reversed(objectives.thresholds_s())
    requests = f"sum(rate(http_requests_total{{{JOB_AND_HANDLER}}}[$window]))"
    failed = f'sum(rate(http_requests_total{{{JOB_AND_HANDLER}, status="5xx"}}[$window]))'
    buckets = f"sum by (le) (rate(http_response_last_byte_seconds_bucket{{{JOB_AND_HANDLER}}}[$window]))"
    firing = f'count(ALERTS{{alertstate="firing", severity!="none", {JOB}}})'
    return [
        stat(
            "Requests",
            "Requests per second to the chosen routes. Compare with the same hour of another day.",
            instant(requests, "requests"),
            unit=units.REQUESTS_PER_SECOND,
        ).span(4),
        stat(
            "Failed",
            "Share of 5xx responses. Good is zero; red begins where the strictest objective is missed "
            f"({1 - strictest:.2%}).",
            instant(f"({failed} or {requests} * 0) / ({requests} > 0)", "failed"),
            unit=units.SHARE,
        )
        .thresholds(above_is_bad(1 - strictest))
        .decimals(2)
        .span(4),
        stat(
            "p95",
            "95% of the requests are faster than this, to their last byte. Red above the slowest latency objective.",
            instant(f"histogram_quantile(0.95, {buckets})", "p95"),
            unit=units.SECONDS,
        )
        .thresholds(above_is_bad(slowest, warning=next(iter(others), None)))
        .span(4),
        stat(
            "In flight",
            "Requests in progress. The number grows when responses take longer, before clients complain.",
            instant(f"sum(http_requests_inprogress{{{JOB}}})", "in flight"),
            unit=units.COUNT,
        ).span(4),
        stat(
            "Error budget left",
            f"Worst SLO, over {objectives.window}. At zero the objective is missed: freeze risky changes.",
            instant(f"min(slo:error_budget_remaining:ratio{{{JOB}}})", "left"),
            unit=units.SHARE,
        )
        .thresholds(below_is_bad(0, good=objectives.display_thresholds.budget_left_ratio))
        .decimals(1)
        .span(4),
        stat(
            "Firing alerts",
            "Alerts of this service. Each one links to its board and its runbook; good is zero.",
            instant(f"{firing} or vector(0)", "firing"),
            unit=units.COUNT,
        )
        .thresholds(above_is_bad(1))
        .span(4),
    ]
