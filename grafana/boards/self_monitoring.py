"""Prometheus with its rules and series, Alertmanager, and the collector."""

from typing import Final

from grafana_foundation_sdk.builders.bargauge import Panel as Bars
from grafana_foundation_sdk.builders.timeseries import Panel as TimeSeries

from grafana import units
from grafana.panels.bars import bars
from grafana.panels.timeseries import time_series, with_legend_table
from grafana.query import instant, query, top_expr

GROUP: Final = '"group", "$1", "rule_group", ".*;(.*)"'
"""The name of a rule group, without the path of its file."""


def rules() -> list[TimeSeries]:
    took = "max by (rule_group) (prometheus_rule_group_last_duration_seconds / prometheus_rule_group_interval_seconds)"
    return [
        with_legend_table(
            time_series(
                "Rule groups: share of their interval",
                "Evaluation time of each group as a share of its interval, the twelve slowest. Good is a few "
                "percent; near 100% evaluations are skipped and alerts fire late.",
                query(f"label_replace({top_expr(took)}, {GROUP})", "{{group}}"),
                unit=units.SHARE,
            )
        ),
        time_series(
            "Alerts by state",
            "Alerts by state and severity. Pending ones have not held for their `for` duration yet. Watchdog "
            "(severity none) always fires; the receiver's page turns red when its notifications stop.",
            query("topk(6, count by (alertstate, severity) (ALERTS))", "{{alertstate}} {{severity}}"),
            unit=units.COUNT,
        ),
        time_series(
            "Notifications",
            "Notifications that Alertmanager sends, by integration, and those that fail. Good is no failure.",
            query(
                top_expr("sum by (integration) (rate(alertmanager_notifications_total[$window])) > 0", number=6),
                "{{integration}}",
            ),
            query("sum(rate(alertmanager_notifications_failed_total[$window]))", "failed"),
            unit=units.EVENTS_PER_SECOND,
        ),
        time_series(
            "From Prometheus to Alertmanager",
            "Alerts per second that Prometheus sends, drops because its queue is full, or fails to send. Good is "
            "nothing dropped and no error.",
            query("sum(rate(prometheus_notifications_sent_total[$window]))", "sent"),
            query("sum(rate(prometheus_notifications_dropped_total[$window]))", "dropped"),
            query("sum(rate(prometheus_notifications_errors_total[$window]))", "errors"),
            unit=units.EVENTS_PER_SECOND,
        ),
    ]


def cardinality() -> list[TimeSeries | Bars]:
    return [
        time_series(
            "Series and churn",
            "Series in memory, and new series per second. Restarts make a step; a line that keeps growing means a "
            "label with unbounded values, which the metrics of this package do not have.",
            query("sum(prometheus_tsdb_head_series)", "in memory"),
            query("sum(rate(prometheus_tsdb_head_series_created_total[$window]))", "created per second"),
            unit=units.COUNT,
        )
        .span(8)
        .height(9),
        bars(
            "Metrics with most series",
            "The ten largest metrics. Histograms lead, because every bucket is a series for each route.",
            instant('topk(10, count by (__name__) ({__name__=~".+"}))', "{{__name__}}"),
            unit=units.COUNT,
        )
        .span(8)
        .height(9),
        bars(
            "Jobs with most samples",
            "Samples per scrape of all targets of a job. Storage and memory grow with them.",
            instant("topk(10, sum by (job) (scrape_samples_scraped))", "{{job}}"),
            unit=units.COUNT,
        )
        .span(8)
        .height(9),
    ]


def collector() -> list[TimeSeries]:
    absent = "no collector"
    kinds = ("spans", "log_records", "metric_points")

    def each(verb: str) -> list[tuple[str, str]]:
        return [(f"sum(rate(otelcol_{verb}_{kind}_total[$window]))", kind.replace("_", " ")) for kind in kinds]

    received, refused = each("receiver_accepted"), each("receiver_refused")
    sent, failed = each("exporter_sent"), each("exporter_send_failed")
    dropped = each("exporter_enqueue_failed")
    return [
        time_series(
            "Collector: received",
            "Spans, log records and metric points that the collector accepts, and those that it refuses because its "
            "memory is full. Good is none refused.",
            *(query(expr, kind) for expr, kind in received),
            *(query(expr, f"{kind} refused") for expr, kind in refused),
            unit=units.EVENTS_PER_SECOND,
        )
        .no_value(absent)
        .span(8),
        time_series(
            "Collector: exported",
            "Spans, log records and metric points exported to Tempo, Loki and Prometheus, those that failed, and those "
            "dropped because the queue was full. Fewer spans are exported than received: tail sampling drops the "
            "others.",
            *(query(expr, kind) for expr, kind in sent),
            *(query(expr, f"{kind} failed") for expr, kind in failed),
            *(query(expr, f"{kind} dropped") for expr, kind in dropped),
            unit=units.EVENTS_PER_SECOND,
        )
        .no_value(absent)
        .span(8),
        time_series(
            "Collector: export queues",
            "Queue of each exporter as a share of its capacity. Good is near zero; at 100% the backend is down and "
            "data is lost.",
            query("topk(6, otelcol_exporter_queue_size / otelcol_exporter_queue_capacity)", "{{exporter}}"),
            unit=units.SHARE,
        )
        .max(1)
        .no_value(absent)
        .span(8),
    ]
