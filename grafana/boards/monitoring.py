"""Self-monitoring: no firing alert must mean that the service is well, not that monitoring is broken."""

from typing import Final

from grafana_foundation_sdk.builders.stat import Panel as Stat
from grafana_foundation_sdk.builders.table import Panel as Table
from grafana_foundation_sdk.builders.timeseries import Panel as TimeSeries
from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana import units
from grafana.board import Board, Section
from grafana.boards import self_monitoring
from grafana.panels.stat import stat
from grafana.panels.table import Column, table
from grafana.panels.timeseries import stacked, time_series, with_legend_table
from grafana.query import instant, query, rows, top, top_expr
from grafana.thresholds import above_is_bad, below_is_bad
from prometheus.slo import Objectives

BY_TARGET: Final = "{{job}} {{instance}}"
LOST: Final = 'observability_export_total{outcome!="exported"}'


def dashboard(objectives: Objectives) -> Dashboard:
    return Board(
        uid="flightdeck-monitoring",
        title="Self-monitoring",
        question="Is everything scraped, evaluated, exported and delivered, so that a fault would be noticed?",
        sections=[
            Section(title="", panels=_numbers()),
            Section(title="Scrapes", panels=[_targets(), _scrape_time(), _samples()]),
            Section(title="Telemetry of the services", panels=[_exports(), _queue(), _where()]),
            Section(title="Rules and alerts", panels=[*self_monitoring.rules(), _firing()]),
            Section(title="Cardinality", panels=self_monitoring.cardinality()),
            Section(title="Collector", panels=self_monitoring.collector(), collapsed=True),
        ],
        variables=("datasource", "window"),
    ).build(objectives)


def _number(title: str, description: str, expr: str) -> Stat:
    panel = stat(title, description, instant(expr, title), unit=units.COUNT)
    return panel.thresholds(above_is_bad(1)).decimals(0).span(4)


def _numbers() -> list[Stat]:
    return [
        _number(
            "Targets down",
            "Targets that Prometheus cannot scrape. Good is zero: their state is unknown.",
            "count(up == 0) or vector(0)",
        ),
        _number(
            "Rule failures",
            "Rule evaluations that failed within the window. Good is zero: an alert that cannot be evaluated cannot "
            "fire.",
            "sum(increase(prometheus_rule_evaluation_failures_total[$window]))",
        ),
        _number(
            "Telemetry lost",
            "Spans, logs and error reports that were not delivered within the window, because a queue was full or "
            "the export failed. Good is zero; requests are not affected.",
            f"sum(increase({LOST}[$window])) or vector(0)",
        ),
        _number(
            "Telemetry errors",
            "Failures inside the instrumentation within the window. Requests are not affected, but the metrics, "
            "spans or logs of that part are incomplete.",
            "sum(increase(observability_errors_total[$window])) or vector(0)",
        ),
        _number(
            "Failed notifications",
            "Notifications that Alertmanager could not deliver within the window. Good is zero: these alerts reached "
            "no receiver.",
            "sum(increase(alertmanager_notifications_failed_total[$window]))",
        ),
        stat(
            "Series in memory",
            "Time series that Prometheus holds. A few thousand for each process are usual; a number that grows every "
            "hour means a label with unbounded values.",
            instant("sum(prometheus_tsdb_head_series)", "series"),
            unit=units.COUNT,
        ).span(4),
    ]


def _targets() -> Table:
    by = "by (job, arm, instance)"
    return table(
        "Targets",
        "One row for each target. Up is 1 while Prometheus can scrape it; Samples are those of one scrape; New "
        "series are those that appeared within the window.",
        Column(title="Up", query=rows(f"min {by} (up)"), unit=units.COUNT, thresholds=below_is_bad(1)),
        Column(title="Scrape duration", query=rows(f"max {by} (scrape_duration_seconds)"), unit=units.SECONDS),
        Column(title="Samples", query=rows(f"max {by} (scrape_samples_scraped)"), unit=units.COUNT),
        Column(
            title="New series",
            query=rows(f"sum {by} (sum_over_time(scrape_series_added[$window]))"),
            unit=units.COUNT,
        ),
        key={"job": "Job", "arm": "Arm", "instance": "Target"},
    ).height(10)


def _firing() -> Table:
    return table(
        "Firing alerts",
        "One row for each alert, with the number of its instances. Watchdog always fires; the receiver's page has the "
        "links to the runbooks.",
        Column(
            title="Firing",
            query=rows('count by (alertname, severity, job, arm) (ALERTS{alertstate="firing"})'),
            unit=units.COUNT,
        ),
        key={"alertname": "Alert", "severity": "Severity", "job": "Job", "arm": "Arm"},
    ).height(8)


def _scrape_time() -> TimeSeries:
    return with_legend_table(
        time_series(
            "Scrape duration",
            "The twelve slowest targets. Good is far below the scrape interval. A process whose event loop is "
            "blocked can still be scraped, because metrics are served on a thread of their own.",
            query(top("scrape_duration_seconds"), BY_TARGET),
            unit=units.SECONDS,
        )
    )


def _samples() -> TimeSeries:
    return with_legend_table(
        time_series(
            "Samples per scrape",
            "The twelve largest targets. It grows with routes and labels and then levels out; steady growth means a "
            "label with unbounded values.",
            query(top("scrape_samples_scraped"), BY_TARGET),
            unit=units.COUNT,
        )
    )


def _exports() -> TimeSeries:
    return stacked(
        time_series(
            "Telemetry export by outcome",
            "Spans, logs and error reports of the services, by signal and outcome. Good is exported only: failed "
            "means that the collector is unreachable, dropped that the queue was full.",
            query(
                "topk(9, sum by (signal, outcome) (rate(observability_export_total[$window])))",
                "{{signal}} {{outcome}}",
            ),
            unit=units.EVENTS_PER_SECOND,
        )
    ).span(8)


def _queue() -> TimeSeries:
    return time_series(
        "Export queue",
        "The fullest export queue of each signal. It is emptied every few seconds; a queue that stays full drops "
        "what comes next.",
        query("max by (signal) (observability_export_queue_size)", "{{signal}}"),
        unit=units.COUNT,
    ).span(8)


def _where() -> TimeSeries:
    failures = "sum by (where) (rate(observability_errors_total[$window]))"
    none = 'label_replace(vector(0), "where", "none", "", "")'
    panel = time_series(
        "Telemetry errors by component",
        "Failures of the instrumentation, by the part that failed. Good is no line above zero: each is a bug, logged "
        "once.",
        query(f"{top_expr(failures, number=8)}\nor {none} unless on () {failures}", "{{where}}"),
        unit=units.EVENTS_PER_SECOND,
    )
    return panel.axis_soft_max(1).span(8)
