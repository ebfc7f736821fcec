"""Alerts for HTTP: requests that the service rejects under overload, upstream calls that fail, compression."""

from prometheus.promql import increase_with_new_series
from prometheus.rule import Alert, Group
from prometheus.slo import Objectives

MIN_FAILED_CALLS = 5
"""To one upstream, in five minutes."""


def http_alerts(objectives: Objectives) -> Group:
    return Group(
        name="http", rules=[_requests_shed(objectives), _upstream_failing(objectives), _compression(objectives)]
    )


def _requests_shed(objectives: Objectives) -> Alert:
    jobs, limit = objectives.slo_jobs, objectives.limits.shed_ratio
    by = "sum by (job, arm, instance)"
    matchers = f'{jobs}, outcome=~"queue_full|timeout"'
    rejected = f"{by} ({increase_with_new_series('admission_requests_total', matchers, '5m')})"
    requests = f"{by} ({increase_with_new_series('admission_requests_total', jobs, '5m')})"
    return Alert(
        name="RequestsShed",
        expr=f"{rejected}\n/ {requests} > {limit:g}",
        for_="2m",
        summary="{{ $labels.arm }} is overloaded and rejects requests",
        description=(
            "{{ $labels.instance }} rejected {{ $value | humanizePercentage }} of the requests with 503 over [5m] "
            f"because the concurrency limit was reached; the limit is {limit:.0%}."
        ),
        dashboard="flightdeck-service?var-arm={{ $labels.arm }}",
        drill_exemption="needs a whole machine for load; `make reliability` overloads the service threefold",
    )


def _upstream_failing(objectives: Objectives) -> Alert:
    jobs, limit = objectives.slo_jobs, objectives.limits.upstream_failure_ratio
    by = "sum by (job, arm, upstream)"
    matchers = f'{jobs}, outcome=~"failed|timeout|circuit_open"'
    calls = f"{by} ({increase_with_new_series('upstream_requests_total', jobs, '5m')})"
    failed = f"{by} ({increase_with_new_series('upstream_requests_total', matchers, '5m')})"
    return Alert(
        name="UpstreamFailing",
        owner="platform",
        expr=f"{failed} / ({calls} > 0) > {limit:g}\nand {failed} >= {MIN_FAILED_CALLS}",
        for_="2m",
        summary="Calls of {{ $labels.arm }} to {{ $labels.upstream }} are failing",
        description=(
            "{{ $value | humanizePercentage }} of the calls failed, timed out or were rejected by the open circuit "
            f"over [5m]; the limit is {limit:.0%}."
        ),
        dashboard="flightdeck-runtime?var-arm={{ $labels.arm }}",
        drill="upstream-failing",
    )


def _compression(objectives: Objectives) -> Alert:
    link = objectives.limits.compression_link_mbit_s

    def per_arm(metric: str) -> str:
        return f"sum by (job, arm) (rate({metric}{{{objectives.slo_jobs}}}[5m]))"

    saved = f"({per_arm('compression_before_bytes_total')} - {per_arm('compression_after_bytes_total')})"
    taken_s, saved_s = per_arm("compression_duration_seconds_sum"), f"{saved} * 8 / {link * 1e6:.0f}"
    return Alert(
        name="CompressionCostsMore",
        expr=(
            f"1 - {saved_s}\n/ ({taken_s} > 0)\n"
            f"and {taken_s}\n- {saved_s}\n> {objectives.limits.compression_loss_ratio:g}"
        ),
        for_="10m",
        summary="Compression slows responses down on {{ $labels.arm }}",
        description=(
            "{{ $value | humanizePercentage }} of the compression time over [5m] was not recovered on a link of "
            f"{link:g} Mbit/s: the level is too high or the bodies do not compress."
        ),
        dashboard="flightdeck-compression?var-arm={{ $labels.arm }}",
        drill="incompressible",
    )
