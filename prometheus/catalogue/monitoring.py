"""Alerts for monitoring itself: no firing alert must mean that the service is well."""

from functools import partial

from prometheus.promql import increase_with_new_series
from prometheus.rule import Alert, Group
from prometheus.slo import Objectives

BOARD = "flightdeck-monitoring"
SIGNALS = {"spans": "spans", "log_records": "logs", "metric_points": "metrics"}
"""Of the collector, as its counters name them and as people do."""
LOST_RATIO = 0.01
"""Low, because Prometheus 2 counts a lost batch of up to 64 alerts as one error."""

_alert = partial(Alert, owner="monitoring", dashboard=BOARD)
"""For those who run the monitoring, not the service."""


def monitoring_alerts(objectives: Objectives) -> Group:
    return Group(
        name="monitoring", rules=[*_targets(objectives), *_collector(), *_prometheus(), *_alertmanager(), _watchdog()]
    )


def _targets(objectives: Objectives) -> list[Alert]:
    jobs = objectives.slo_jobs
    failed = increase_with_new_series("observability_errors_total", jobs, "15m")
    lost = increase_with_new_series("observability_export_total", f'outcome!="exported", {jobs}', "15m")
    return [
        Alert(
            name="TargetDown",
            owner="platform",
            expr="up == 0",
            for_="5m",
            summary="{{ $labels.instance }} of {{ $labels.job }} cannot be scraped",
            description="Prometheus could not scrape {{ $labels.instance }} for [5m]: up is {{ $value }}.",
            dashboard=BOARD,
            drill="target-down",
        ),
        Alert(
            name="MetricsAbsent",
            expr=f"up{{{jobs}}} == 1 unless on (job, instance) http_requests_inprogress",
            for_="5m",
            summary="{{ $labels.instance }} is up but not instrumented",
            description=(
                "{{ $labels.instance }} can be scraped (up is {{ $value }}) but has no HTTP metrics, so no "
                "objective covers it."
            ),
            dashboard=BOARD,
            drill="not-instrumented",
        ),
        _alert(
            name="TelemetryDropped",
            expr=f"sum by (job, arm, signal, outcome) ({lost}) > 0",
            for_="1m",
            summary="{{ $labels.arm }} is dropping {{ $labels.signal }}",
            description=(
                '{{ $value | printf "%.0f" }} {{ $labels.signal }} were not delivered over [15m] (outcome '
                "{{ $labels.outcome }}); requests are not affected."
            ),
            drill="collector-down",
        ),
        _alert(
            name="TelemetryErrors",
            expr=f"sum by (job, arm, where) ({failed}) > 0",
            for_="1m",
            summary="Instrumentation of {{ $labels.arm }} fails in {{ $labels.where }}",
            description=(
                'The instrumentation of {{ $labels.where }} failed {{ $value | printf "%.0f" }} times over [15m]; '
                "requests are not affected, but its telemetry is incomplete."
            ),
            drill="telemetry-fails",
        ),
    ]


def _of_collector(counter: str, by: str) -> str:
    """Return what a counter of the collector counted, by signal: it has one for each."""
    each = [
        f"label_replace({increase_with_new_series(f'otelcol_{counter}_{kind}_total', '', '15m')}, "
        f'"signal", "{signal}", "", "")'
        for kind, signal in SIGNALS.items()
    ]
    return f"sum by ({by}, signal) ({' or '.join(each)}) > 0"


def _collector() -> list[Alert]:
    only_there = "the embedded stack has no collector; on the compose stack it is"
    dropped = increase_with_new_series(
        "otelcol_processor_tail_sampling_sampling_trace_dropped_too_early_total", "", "15m"
    )
    return [
        _alert(
            name="CollectorRejectsData",
            expr=_of_collector("receiver_refused", "receiver"),
            for_="1m",
            summary="The collector rejects {{ $labels.signal }}",
            description=(
                '{{ $value | printf "%.0f" }} {{ $labels.signal }} were rejected over [15m]; senders retry for a while '
                "and then drop them."
            ),
            drill_exemption=f"{only_there} a load that exceeds its memory",
        ),
        _alert(
            name="CollectorQueueFull",
            expr=_of_collector("exporter_enqueue_failed", "exporter"),
            for_="1m",
            summary="The collector drops {{ $labels.signal }} that it accepted",
            description=(
                'The queue of {{ $labels.exporter }} was full: {{ $value | printf "%.0f" }} {{ $labels.signal }} were '
                "dropped over [15m], and senders count them as exported."
            ),
            drill_exemption=f"{only_there} a load that exceeds its queue",
        ),
        _alert(
            name="CollectorExportsFailing",
            expr=_of_collector("exporter_send_failed", "exporter"),
            for_="1m",
            summary="The collector cannot export {{ $labels.signal }}",
            description=(
                '{{ $labels.exporter }} gave up on {{ $value | printf "%.0f" }} {{ $labels.signal }} over [15m]: '
                "the back end was down or rejected them."
            ),
            drill_exemption=f"{only_there} `flightdeck drill run tempo-down --compose`",
        ),
        _alert(
            name="TracesDroppedTooEarly",
            expr=f"sum by (instance) ({dropped}) > 0",
            for_="1m",
            summary="The collector drops traces before their sampling decision",
            description=(
                '{{ $value | printf "%.0f" }} traces were dropped over [15m] because more were waiting for the '
                "sampling decision than the collector keeps."
            ),
            drill_exemption=f"{only_there} a load that exceeds `num_traces`",
        ),
    ]


def _prometheus() -> list[Alert]:
    return [
        _alert(
            name="PrometheusRuleFailures",
            severity="critical",
            expr="sum by (instance, rule_group) (increase(prometheus_rule_evaluation_failures_total[5m])) > 0",
            for_="5m",
            summary="Prometheus rule evaluation is failing",
            description=(
                '{{ $value | printf "%.0f" }} evaluations of {{ $labels.rule_group }} failed over [5m]; its alerts '
                "cannot fire."
            ),
            drill="rule-fails",
        ),
        _alert(
            name="PrometheusConfigReloadFailed",
            expr="prometheus_config_last_reload_successful == 0",
            for_="5m",
            summary="Prometheus runs with an outdated configuration",
            description=(
                "The last reload of {{ $labels.instance }} failed (prometheus_config_last_reload_successful is "
                "{{ $value }})."
            ),
            drill="prometheus-config",
        ),
        _alert(
            name="AlertsNotSent",
            severity="critical",
            expr=(
                "sum by (instance, alertmanager) (increase(prometheus_notifications_errors_total[5m]))"
                " / (sum by (instance, alertmanager) (increase(prometheus_notifications_sent_total[5m])) > 0)"
                f" > {LOST_RATIO:g}"
            ),
            for_="5m",
            summary="Prometheus cannot send alerts to Alertmanager",
            description=(
                "{{ $value | humanizePercentage }} of the alerts for {{ $labels.alertmanager }} could not be sent "
                "over [5m]."
            ),
            drill="alertmanager-killed",
        ),
    ]


def _alertmanager() -> list[Alert]:
    failed = "sum by (instance, integration) (increase(alertmanager_notifications_failed_total[5m]))"
    sent = "sum by (instance, integration) (increase(alertmanager_notifications_total[5m]))"
    return [
        _alert(
            name="AlertmanagerMissing",
            severity="critical",
            expr='absent(up{job="alertmanager"} == 1)',
            for_="5m",
            summary="Prometheus has no Alertmanager to send to",
            description="No Alertmanager is up (absent is {{ $value }}): firing alerts are not delivered.",
            drill="alertmanager-killed",
        ),
        _alert(
            name="AlertmanagerConfigReloadFailed",
            expr="alertmanager_config_last_reload_successful == 0",
            for_="5m",
            summary="Alertmanager runs with an outdated configuration",
            description=(
                "The last reload of {{ $labels.instance }} failed (alertmanager_config_last_reload_successful is "
                "{{ $value }})."
            ),
            drill="alertmanager-config",
        ),
        _alert(
            name="NotificationsFailing",
            severity="critical",
            expr=f"{failed} / ({sent} > 0) > 0.1",
            for_="5m",
            summary="Alertmanager cannot deliver to {{ $labels.integration }}",
            description="{{ $value | humanizePercentage }} of the notifications failed over [5m].",
            drill="receiver-killed",
        ),
    ]


def _watchdog() -> Alert:
    return _alert(
        name="Watchdog",
        severity="none",
        expr="vector(1)",
        for_="0s",
        summary="The alerting pipeline works end to end",
        description="Always firing (value {{ $value }}). When it stops arriving, alerts are not delivered either.",
        drill_exemption="always firing; every drill waits for its notification",
    )
