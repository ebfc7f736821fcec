"""The monitoring itself: a quiet pager must mean that all is well, not that nobody watches."""

from typing import Final

from grafana_foundation_sdk.builders.stat import Panel as Stat
from grafana_foundation_sdk.builders.table import Panel as Table
from grafana_foundation_sdk.builders.timeseries import Panel as TimeSeries
from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana import units
from grafana.board import Board, Section
from grafana.boards import self_monitoring as watchers
from grafana.panels.legend import with_legend_table
from grafana.panels.stat import stat
from grafana.panels.table import Column, table
from grafana.panels.timeseries import stacked, time_series
from grafana.query import instant, query, rows, top, top_expr
from grafana.thresholds import above_is_bad, below_is_bad

BY_TARGET: Final = "{{job}} {{instance}}"
LOST: Final = 'observability_export_total{outcome!="exported"}'


def dashboard() -> Dashboard:
    """Return the board about scrapes, telemetry, rules and notifications."""
    return Board(
        uid="flightdeck-monitoring",
        title="The monitoring itself",
        question="Would we hear of a fault: is everything scraped, evaluated, exported and delivered?",
        sections=[
            Section(title="", panels=[_down(), _failing_rules(), _lost(), _errors(), _undelivered(), _series()]),
            Section(title="Scrapes", panels=[_targets(), _scrape_time(), _samples()]),
            Section(title="Telemetry of the services", panels=[_exports(), _queue(), _where()]),
            Section(title="Rules and alerts", panels=watchers.rules()),
            Section(title="Cardinality", panels=watchers.cardinality()),
            Section(title="Collector", panels=watchers.collector(), collapsed=True),
        ],
        variables=("datasource", "window"),
    ).build()


def _number(title: str, description: str, expr: str, *, unit: str = units.COUNT) -> Stat:
    return stat(title, description, instant(expr, title), unit=unit).thresholds(above_is_bad(1)).span(4)


def _down() -> Stat:
    return _number(
        "Targets down",
        "Targets that Prometheus can not scrape. Good is zero: of these nothing is known.",
        "count(up == 0) or vector(0)",
    )


def _failing_rules() -> Stat:
    return _number(
        "Rules that fail",
        "Evaluations of rules that failed within the window. Good is zero: an alert that can not be evaluated is "
        "silent.",
        "sum(increase(prometheus_rule_evaluation_failures_total[$window]))",
    ).decimals(0)


def _lost() -> Stat:
    return _number(
        "Telemetry lost",
        "Spans, logs and error reports that never arrived within the window, for lack of room or of a collector. "
        "Good is zero; requests do not notice.",
        f"sum(increase({LOST}[$window])) or vector(0)",
    ).decimals(0)


def _errors() -> Stat:
    return _number(
        "Errors of telemetry",
        "Failures inside the instrumentation within the window. Requests do not notice, but what it measures is "
        "incomplete.",
        "sum(increase(observability_errors_total[$window])) or vector(0)",
    ).decimals(0)


def _undelivered() -> Stat:
    return _number(
        "Notifications that fail",
        "Notifications that Alertmanager could not deliver within the window. Good is zero: nobody heard of these "
        "alerts.",
        "sum(increase(alertmanager_notifications_failed_total[$window]))",
    ).decimals(0)


def _series() -> Stat:
    return stat(
        "Series in memory",
        "Time series that Prometheus holds. A few thousand for each process are usual; a number that climbs every "
        "hour is a label with unbounded values.",
        instant("sum(prometheus_tsdb_head_series)", "series"),
        unit=units.COUNT,
    ).span(4)


def _targets() -> Table:
    by = "by (job, arm, instance)"
    return table(
        "Targets",
        "One row for each target. Up is 1 while it answers; samples are what one scrape brings, new ones are series "
        "that were not there before.",
        Column(title="Up", query=rows(f"min {by} (up)"), unit=units.COUNT, thresholds=below_is_bad(1)),
        Column(title="Scrape takes", query=rows(f"max {by} (scrape_duration_seconds)"), unit=units.SECONDS),
        Column(title="Samples", query=rows(f"max {by} (scrape_samples_scraped)"), unit=units.COUNT),
        Column(
            title="New series",
            query=rows(f"sum {by} (sum_over_time(scrape_series_added[$window]))"),
            unit=units.COUNT,
        ),
        key={"job": "Job", "arm": "Arm", "instance": "Target"},
    ).height(10)


def _scrape_time() -> TimeSeries:
    return with_legend_table(
        time_series(
            "How long scrapes take",
            "The twelve slowest targets. Good is far below the scrape interval; a process whose loop hangs still "
            "answers, because metrics have a thread of their own.",
            query(top("scrape_duration_seconds"), BY_TARGET),
            unit=units.SECONDS,
        )
    )


def _samples() -> TimeSeries:
    return with_legend_table(
        time_series(
            "Samples per scrape",
            "The twelve largest targets. It grows with routes and labels and then stays; steady growth is a label "
            "whose values never end.",
            query(top("scrape_samples_scraped"), BY_TARGET),
            unit=units.COUNT,
        )
    )


def _exports() -> TimeSeries:
    return stacked(
        time_series(
            "What becomes of spans, logs and errors",
            "Telemetry that processes send, by signal and outcome. Good is exported only: failed means that the "
            "collector does not answer, dropped that more came than the queue holds.",
            query(
                "topk(9, sum by (signal, outcome) (rate(observability_export_total[$window])))",
                "{{signal}} {{outcome}}",
            ),
            unit=units.EVENTS_PER_SECOND,
        )
    ).span(8)


def _queue() -> TimeSeries:
    return time_series(
        "Waiting for export",
        "The fullest queue of each signal. It empties every few seconds; a queue that stays full drops what comes "
        "next.",
        query("max by (signal) (observability_export_queue_size)", "{{signal}}"),
        unit=units.COUNT,
    ).span(8)


def _where() -> TimeSeries:
    failures = "sum by (where) (rate(observability_errors_total[$window]))"
    none = 'label_replace(vector(0), "where", "none", "", "")'
    panel = time_series(
        "Errors of telemetry by place",
        "Failures of the code that measures, by the part that failed. Good is no line: each is a bug, logged once.",
        query(f"{top_expr(failures, number=8)}\nor {none} unless on () {failures}", "{{where}}"),
        unit=units.EVENTS_PER_SECOND,
    )
    return panel.axis_soft_max(1).span(8)
