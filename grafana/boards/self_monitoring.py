"""Who watches: Prometheus with its rules and series, Alertmanager, and the collector."""

from typing import Final

from grafana_foundation_sdk.builders.bargauge import Panel as Bars
from grafana_foundation_sdk.builders.timeseries import Panel as TimeSeries

from grafana import units
from grafana.panels.bars import bars
from grafana.panels.legend import with_legend_table
from grafana.panels.timeseries import time_series
from grafana.query import instant, query, top_expr

GROUP: Final = '"group", "$1", "rule_group", ".*;(.*)"'
"""A rule group's name without the path of its file."""


def rules() -> list[TimeSeries]:
    """Return how rules are evaluated, what fires, and whether it is delivered."""
    took = "max by (rule_group) (prometheus_rule_group_last_duration_seconds / prometheus_rule_group_interval_seconds)"
    return [
        with_legend_table(
            time_series(
                "Rule groups: share of their interval",
                "How much of its interval the evaluation of a group takes, the twelve slowest. Good is a few percent; "
                "near 100% evaluations are skipped and alerts come late.",
                query(f"label_replace({top_expr(took)}, {GROUP})", "{{group}}"),
                unit=units.SHARE,
            )
        ),
        time_series(
            "Alerts",
            "Alerts by state and severity. Pending ones wait for their time; the heartbeat always fires, and the "
            "receiver says so when it stops arriving.",
            query("topk(6, count by (alertstate, severity) (ALERTS))", "{{alertstate}} {{severity}}"),
            unit=units.COUNT,
        ),
        time_series(
            "Notifications",
            "What Alertmanager sends, and what of it fails, by way. Good is no failure: an alert that nobody hears "
            "is none.",
            query(
                top_expr("sum by (integration) (rate(alertmanager_notifications_total[$window])) > 0", number=6),
                "{{integration}}",
            ),
            query("sum(rate(alertmanager_notifications_failed_total[$window]))", "failed"),
            unit=units.EVENTS_PER_SECOND,
        ),
        time_series(
            "From Prometheus to Alertmanager",
            "Alerts that Prometheus sends, drops, and has waiting. Good is nothing dropped and an empty queue.",
            query("sum(rate(prometheus_notifications_sent_total[$window]))", "sent"),
            query("sum(rate(prometheus_notifications_dropped_total[$window]))", "dropped"),
            query("sum(rate(prometheus_notifications_errors_total[$window]))", "errors"),
            unit=units.EVENTS_PER_SECOND,
        ),
    ]


def cardinality() -> list[TimeSeries | Bars]:
    """Return where the series come from."""
    return [
        time_series(
            "Series and churn",
            "Series in memory, and series per second that begin. Restarts make a step; a slope that never ends is a "
            "label with unbounded values, which the metrics of this package do not have.",
            query("sum(prometheus_tsdb_head_series)", "in memory"),
            query("sum(rate(prometheus_tsdb_head_series_created_total[$window]))", "begin per second"),
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
            "Samples that one scrape of all targets of a job brings. It is what storage and memory follow.",
            instant("topk(10, sum by (job) (scrape_samples_scraped))", "{{job}}"),
            unit=units.COUNT,
        )
        .span(8)
        .height(9),
    ]


def collector() -> list[TimeSeries]:
    """Return whether the collector takes and passes on what it is sent."""
    absent = "no collector"
    kinds = ("spans", "log_records")

    def each(verb: str) -> list[tuple[str, str]]:
        return [(f"sum(rate(otelcol_{verb}_{kind}_total[$window]))", kind.replace("_", " ")) for kind in kinds]

    taken, refused = each("receiver_accepted"), each("receiver_refused")
    sent, failed = each("exporter_sent"), each("exporter_send_failed")
    return [
        time_series(
            "Taken by the collector",
            "Spans and logs that it takes, and those that it refuses because its memory is full. Good is no refusal.",
            *(query(expr, kind) for expr, kind in taken),
            *(query(expr, f"{kind} refused") for expr, kind in refused),
            unit=units.EVENTS_PER_SECOND,
        )
        .no_value(absent)
        .span(8),
        time_series(
            "Passed on by the collector",
            "Spans and logs that reach Tempo and Loki, and those that do not. Fewer spans leave than come: the sampler "
            "drops what nobody will look at.",
            *(query(expr, kind) for expr, kind in sent),
            *(query(expr, f"{kind} failed") for expr, kind in failed),
            unit=units.EVENTS_PER_SECOND,
        )
        .no_value(absent)
        .span(8),
        time_series(
            "Queues of the collector",
            "How full the queue before each exporter is. Good is near zero; at 100% the backend is away and data is "
            "lost.",
            query("topk(6, otelcol_exporter_queue_size / otelcol_exporter_queue_capacity)", "{{exporter}}"),
            unit=units.SHARE,
        )
        .max(1)
        .no_value(absent)
        .span(8),
    ]
