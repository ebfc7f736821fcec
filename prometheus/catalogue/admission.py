"""Alerts for admission control: requests that the service refuses so that it can serve the others."""

from prometheus.rule import Alert, Group
from prometheus.slo import Objectives

REFUSED = 'outcome=~"queue_full|timeout"'


def admission_alerts(objectives: Objectives) -> Group:
    """Return the alert on requests that are shed."""
    jobs, limit = objectives.slo_jobs, objectives.limits.shed_ratio
    refused = f"sum by (job, arm, instance) (rate(admission_requests_total{{{jobs}, {REFUSED}}}[5m]))"
    asked = f"sum by (job, arm, instance) (rate(admission_requests_total{{{jobs}}}[5m]))"
    shed = Alert(
        name="RequestsShed",
        severity="ticket",
        owner="service",
        expr=f"{refused}\n/ {asked} > {limit:g}",
        for_="2m",
        summary="{{ $labels.arm }} is overloaded and refuses requests",
        description=(
            "{{ $labels.instance }} answered {{ $value | humanizePercentage }} of the requests with 503 over [5m] "
            f"because no turn came in time; the limit is {limit:.0%}."
        ),
        dashboard="flightdeck-service?var-arm={{ $labels.arm }}",
        drill_exemption="needs a whole machine for load; `make reliability` overloads the service threefold",
    )
    return Group(name="admission", rules=[shed])
