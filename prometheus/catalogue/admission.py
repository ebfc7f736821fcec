"""Alerts for admission control: requests that the service refuses so that it can serve the others."""

from prometheus.rule import Alert, Group
from prometheus.slo import Objectives

REFUSED = 'outcome=~"queue_full|timeout"'


def admission_alerts(objectives: Objectives) -> Group:
    """Return the alert on requests that are shed."""
    watched, limit = objectives.watched, objectives.limits.shed_ratio
    refused = f"sum by (job, arm, instance) (rate(admission_requests_total{{{watched}, {REFUSED}}}[5m]))"
    asked = f"sum by (job, arm, instance) (rate(admission_requests_total{{{watched}}}[5m]))"
    shed = Alert(
        name="RequestsShed",
        severity="ticket",
        owner="service",
        expr=f"{refused}\n/ {asked} > {limit:g}",
        wait="2m",
        summary="{{ $labels.arm }} is overloaded and refuses requests",
        description=(
            "{{ $labels.instance }} answered {{ $value | humanizePercentage }} of the requests with 503 over [5m] "
            f"because no turn came in time; the limit is {limit:.0%}."
        ),
        dashboard="flightdeck-service?var-arm={{ $labels.arm }}",
        no_drill="a drill's load would need the whole machine; `make reliability` overloads the service threefold",
    )
    return Group(name="admission", rules=[shed])
