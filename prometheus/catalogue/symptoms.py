"""Alerts for symptoms that users notice, besides the error budgets: the service is down, a route is slow."""

from prometheus.promql import LATENCY, bucket
from prometheus.rule import Alert, Group
from prometheus.slo import Objectives


def symptom_alerts(objectives: Objectives) -> Group:
    jobs = objectives.slo_jobs
    return Group(
        name="symptoms",
        rules=[
            Alert(
                name="ServiceDown",
                severity="critical",
                expr=f"max by (job, arm) (up{{{jobs}}}) == 0",
                for_="1m",
                summary="{{ $labels.arm }} is down",
                description="Prometheus cannot scrape any process of {{ $labels.arm }}: up is {{ $value }}.",
                dashboard="flightdeck-service?var-arm={{ $labels.arm }}",
                drill="service-down",
            ),
            Alert(
                name="ServiceMissing",
                severity="critical",
                expr=f"absent(up{{{jobs}}})",
                for_="5m",
                summary="Prometheus has no targets for the service",
                description=(
                    "Prometheus has discovered no target for [5m] (absent is {{ $value }}): the state of the "
                    "service is unknown."
                ),
                dashboard="flightdeck-monitoring",
                drill="no-targets",
            ),
            *(_slow_route(objectives, group) for group in objectives.groups),
        ],
    )


def _slow_route(objectives: Objectives, name: str) -> Alert:
    threshold_s = objectives.groups[name].latency.threshold_s
    match = f"{objectives.slo_jobs}, {objectives.selector(name)}"
    requests, in_time = (
        f"sum by (job, arm, handler) (increase({LATENCY}_{series}[5m]))"
        for series in (f"count{{{match}}}", f"bucket{{{match}, {bucket(threshold_s)}}}")
    )
    return Alert(
        name="RouteSlow",
        expr=(
            f"handler:latency_seconds:p95_rate5m{{{match}}} > {threshold_s:g}\n"
            f"and {requests}\n- {in_time} >= {objectives.min_failures}"
        ),
        for_="10m",
        labels={"group": name},
        summary="{{ $labels.handler }} is slow on {{ $labels.arm }}",
        description=(
            "The p95 response time of {{ $labels.handler }} was {{ $value | humanizeDuration }} over [5m]; the "
            f"threshold is {threshold_s:g} s."
        ),
        dashboard="flightdeck-service?var-arm={{ $labels.arm }}&var-handler={{ $labels.handler }}",
        drill="route-slow",
    )
