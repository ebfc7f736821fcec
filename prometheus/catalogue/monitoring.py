"""Alerts for the monitoring itself: a quiet pager must mean that all is well."""

from prometheus.promql import growth
from prometheus.rule import Alert, Group
from prometheus.slo import Objectives

BOARD = "flightdeck-monitoring"
LOST_RATIO = 0.01
"""Prometheus 2 counts a batch of up to 64 alerts that is lost as one error."""


def monitoring_alerts(objectives: Objectives) -> Group:
    """Return the alerts on scrapes, telemetry, Prometheus and Alertmanager."""
    return Group(name="monitoring", rules=[*_targets(objectives), *_prometheus(), *_alertmanager(), _watchdog()])


def _targets(objectives: Objectives) -> list[Alert]:
    jobs = objectives.slo_jobs
    failed = growth("observability_errors_total", jobs, "15m")
    lost = growth("observability_export_total", f'outcome!="exported", {jobs}', "15m")
    return [
        Alert(
            name="TargetDown",
            severity="ticket",
            owner="platform",
            expr="up == 0",
            for_="5m",
            summary="{{ $labels.instance }} of {{ $labels.job }} cannot be scraped",
            description="Prometheus gets no metrics from {{ $labels.instance }} for [5m]: up is {{ $value }}.",
            dashboard=BOARD,
            drill="target-down",
        ),
        Alert(
            name="MetricsAbsent",
            severity="ticket",
            owner="service",
            expr=f"up{{{jobs}}} == 1 unless on (job, instance) http_requests_inprogress",
            for_="5m",
            summary="{{ $labels.instance }} is up but not instrumented",
            description=(
                "{{ $labels.instance }} answers the scrape (up is {{ $value }}) without the HTTP metrics, "
                "so that no objective covers it."
            ),
            dashboard=BOARD,
            drill="not-instrumented",
        ),
        Alert(
            name="TelemetryDropped",
            severity="ticket",
            owner="monitoring",
            expr=f"sum by (job, arm, signal, outcome) ({lost}) > 0",
            for_="1m",
            summary="{{ $labels.arm }} loses {{ $labels.signal }}",
            description=(
                '{{ $value | printf "%.0f" }} {{ $labels.signal }} never arrived over [15m] ({{ $labels.outcome }}); '
                "requests did not notice."
            ),
            dashboard=BOARD,
            drill="collector-down",
        ),
        Alert(
            name="TelemetryErrors",
            severity="ticket",
            owner="monitoring",
            expr=f"sum by (job, arm, where) ({failed}) > 0",
            for_="1m",
            summary="Instrumentation of {{ $labels.arm }} fails in {{ $labels.where }}",
            description=(
                'The code that measures {{ $labels.where }} failed {{ $value | printf "%.0f" }} times over [15m]; '
                "requests did not notice, but what it measures is incomplete."
            ),
            dashboard=BOARD,
            drill="telemetry-fails",
        ),
    ]


def _prometheus() -> list[Alert]:
    return [
        Alert(
            name="PrometheusRuleFailures",
            severity="page",
            owner="monitoring",
            expr="sum by (instance, rule_group) (increase(prometheus_rule_evaluation_failures_total[5m])) > 0",
            for_="5m",
            summary="Rules cannot be evaluated: alerts are blind",
            description='{{ $value | printf "%.0f" }} evaluations of {{ $labels.rule_group }} failed over [5m].',
            dashboard=BOARD,
            drill="rule-fails",
        ),
        Alert(
            name="PrometheusConfigReloadFailed",
            severity="ticket",
            owner="monitoring",
            expr="prometheus_config_last_reload_successful == 0",
            for_="5m",
            summary="Prometheus runs on its old configuration",
            description="The last reload of {{ $labels.instance }} failed (successful is {{ $value }}).",
            dashboard=BOARD,
            drill="prometheus-config",
        ),
        Alert(
            name="AlertsNotSent",
            severity="page",
            owner="monitoring",
            expr=(
                "sum by (instance, alertmanager) (increase(prometheus_notifications_errors_total[5m]))"
                " / (sum by (instance, alertmanager) (increase(prometheus_notifications_sent_total[5m])) > 0)"
                f" > {LOST_RATIO:g}"
            ),
            for_="5m",
            summary="Prometheus cannot send alerts to Alertmanager",
            description="{{ $value | humanizePercentage }} of alerts to {{ $labels.alertmanager }} got lost in [5m].",
            dashboard=BOARD,
            drill="alertmanager-killed",
        ),
    ]


def _alertmanager() -> list[Alert]:
    failed = "sum by (instance, integration) (increase(alertmanager_notifications_failed_total[5m]))"
    sent = "sum by (instance, integration) (increase(alertmanager_notifications_total[5m]))"
    return [
        Alert(
            name="AlertmanagerMissing",
            severity="page",
            owner="monitoring",
            expr='absent(up{job="alertmanager"} == 1)',
            for_="5m",
            summary="No Alertmanager answers",
            description="Prometheus reaches {{ $value }} Alertmanagers too few: alerts fire and nobody hears them.",
            dashboard=BOARD,
            drill="alertmanager-killed",
        ),
        Alert(
            name="AlertmanagerConfigReloadFailed",
            severity="ticket",
            owner="monitoring",
            expr="alertmanager_config_last_reload_successful == 0",
            for_="5m",
            summary="Alertmanager runs on its old configuration",
            description="The last reload of {{ $labels.instance }} failed (successful is {{ $value }}).",
            dashboard=BOARD,
            drill="alertmanager-config",
        ),
        Alert(
            name="NotificationsFailing",
            severity="page",
            owner="monitoring",
            expr=f"{failed} / ({sent} > 0) > 0.1",
            for_="5m",
            summary="Alertmanager cannot deliver to {{ $labels.integration }}",
            description="{{ $value | humanizePercentage }} of the notifications failed over [5m].",
            dashboard=BOARD,
            drill="receiver-killed",
        ),
    ]


def _watchdog() -> Alert:
    return Alert(
        name="Watchdog",
        severity="heartbeat",
        owner="monitoring",
        expr="vector(1)",
        for_="0s",
        summary="The way from Prometheus to the receiver works",
        description="Always firing with value {{ $value }}; the receiver's page says when it stops arriving.",
        dashboard=BOARD,
        drill_exemption="it always fires; every drill sees it arrive",
    )
