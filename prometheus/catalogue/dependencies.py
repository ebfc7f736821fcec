"""Alerts for what the service calls: upstream APIs."""

from prometheus.rule import Alert, Group
from prometheus.slo import Objectives

MIN_FAILED = 5
"""Of the calls to one upstream, in five minutes."""


def dependency_alerts(objectives: Objectives) -> Group:
    """Return the alert on failing upstreams."""
    jobs, limit = objectives.slo_jobs, objectives.limits.upstream_failure_ratio
    by = "sum by (job, arm, upstream)"
    calls = f"{by} (increase(upstream_requests_total{{{jobs}}}[5m]))"
    failed = f'{by} (increase(upstream_requests_total{{outcome=~"failed|timeout|circuit_open", {jobs}}}[5m]))'
    return Group(
        name="dependencies",
        rules=[
            Alert(
                name="UpstreamFailing",
                severity="ticket",
                owner="platform",
                expr=f"{failed} / ({calls} > 0) > {limit:g}\nand {failed} >= {MIN_FAILED}",
                for_="2m",
                summary="{{ $labels.upstream }} does not answer {{ $labels.arm }}",
                description=(
                    "{{ $value | humanizePercentage }} of the calls failed, timed out or were refused by the open "
                    f"circuit over [5m]; the limit is {limit:.0%}."
                ),
                dashboard="flightdeck-runtime?var-arm={{ $labels.arm }}",
                drill="upstream-failing",
            )
        ],
    )
