"""Database: statements per request, N+1 suspects, slow statements, the replica."""

from typing import Final

from grafana_foundation_sdk.builders.common import TableSortByFieldState
from grafana_foundation_sdk.builders.heatmap import Panel as Heatmap
from grafana_foundation_sdk.builders.table import Panel as Table
from grafana_foundation_sdk.builders.timeseries import Panel as TimeSeries
from grafana_foundation_sdk.models.dashboard import Dashboard, DynamicConfigValue

from grafana import units
from grafana.board import Board, Section
from grafana.boards.postgres import indexes, replica
from grafana.links import cell_link
from grafana.panels.heatmap import heatmap
from grafana.panels.table import Column, table
from grafana.panels.timeseries import stacked, time_series, with_threshold_line
from grafana.query import ARM, ARM_AND_HANDLER, arm_or_job, heatmap_query, query, rows, top_expr
from grafana.thresholds import above_is_bad
from prometheus.slo import Limits, Objectives

STATEMENT: Final = "db_client_operation_duration_seconds"
SLOW_S: Final = 0.1
"""A bucket of the histogram ends there."""


def dashboard(objectives: Objectives) -> Dashboard:
    return Board(
        uid="flightdeck-database",
        title="Database",
        question="How many statements does a request run, which routes repeat them, and which statements are slow?",
        sections=[
            Section(title="", panels=[_per_request(objectives.limits), _busy()]),
            Section(title="N+1 suspects", panels=[_routes(objectives.limits), _repeats()]),
            Section(
                title="Slow statements", panels=[_durations(), _time_per_request(), _slow(), _operations(), _failures()]
            ),
            Section(title="Effect of indexes", panels=[_lists(), _boards()]),
            Section(title="Index use (PostgreSQL)", panels=indexes(), collapsed=True),
            Section(title="Replica (PostgreSQL)", panels=replica(objectives.limits), collapsed=True),
        ],
    ).build(objectives)


def _per_request(limits: Limits) -> TimeSeries:
    return with_threshold_line(
        time_series(
            "Queries per request",
            "Statements of the average request, by arm. Caching and eager loading lower it; above the dashed line "
            f"({limits.queries_per_request:g}) an N+1 is likely.",
            query(arm_or_job(f"arm:queries_per_request:ratio_rate5m{{{ARM}}}"), "{{arm}}"),
            unit=units.PER_REQUEST,
        ),
        above_is_bad(limits.queries_per_request),
    )


def _busy() -> TimeSeries:
    return time_series(
        "Busy connections",
        "Seconds per second in which statements run, which is the average number of busy connections, by arm. Below "
        "one, one connection would do; near the pool size, requests begin to wait.",
        query(arm_or_job(f"sum by (job, arm) (rate({STATEMENT}_sum{{{ARM}}}[$window]))"), "{{arm}}"),
        unit=units.COUNT,
    )


def _routes(limits: Limits) -> Table:
    by = "by (arm, handler)"
    suspected = f"sum {by} (rate(db_n_plus_one_suspected_total{{{ARM_AND_HANDLER}}}[$window]))"
    requests = f"sum {by} (handler:requests:rate5m{{{ARM_AND_HANDLER}}})"
    return (
        table(
            "Routes by queries per request",
            "The twenty routes with the most queries per request, by arm. A route whose queries grow with its rows "
            "is an N+1; Repeats counts statements that one request repeated. Compare with an arm that loads eagerly.",
            Column(
                title="Queries",
                query=rows(f"topk(20, max {by} (handler:queries_per_request:ratio_rate5m{{{ARM_AND_HANDLER}}}))"),
                unit=units.COUNT,
                decimals=1,
                thresholds=above_is_bad(limits.queries_per_request),
            ),
            Column(title="Requests", query=rows(requests), unit=units.REQUESTS_PER_SECOND),
            Column(
                title="p95",
                query=rows(f"max {by} (handler:latency_seconds:p95_rate5m{{{ARM_AND_HANDLER}}})"),
                unit=units.SECONDS,
            ),
            Column(
                title="Repeats",
                query=rows(f"{suspected} or {requests} * 0"),
                unit=units.EVENTS_PER_SECOND,
                decimals=2,
                thresholds=above_is_bad(0.001),
            ),
            key={"arm": "Arm", "handler": "Route"},
        )
        .height(11)
        .span(14)
        .sort_by([TableSortByFieldState().display_name("Queries").desc(True)])
        .override_by_name("Route", [cell_link("flightdeck-service", "Rate, errors and duration", "handler")])
        .override_by_regexp("/^(Arm|Queries|Requests|p95|Repeats)$/", [DynamicConfigValue("custom.width", 120)])
    )


def _repeats() -> TimeSeries:
    repeats = f"sum by (job, arm, handler) (rate(db_n_plus_one_suspected_total{{{ARM_AND_HANDLER}}}[$window]))"
    return (
        time_series(
            "Repeated statements",
            "Statements that one request repeated so often that a loop over rows is likely. Good is no line at all; "
            "the trace of such a request shows the statement.",
            query(arm_or_job(top_expr(repeats, number=8)), "{{arm}} {{handler}}"),
            unit=units.EVENTS_PER_SECOND,
        )
        .height(11)
        .span(10)
    )


def _durations() -> Heatmap:
    return heatmap(
        "Statement duration",
        "Each cell counts the statements that took that long. Good is one dark band at the bottom; a band far above "
        "it is a scan of a whole table, or a wait for a lock. Dots are single statements: click one to open its "
        "trace.",
        heatmap_query(f"sum by (le) (increase({STATEMENT}_bucket{{{ARM}}}[$__rate_interval]))"),
        unit=units.SECONDS,
    )


def _time_per_request() -> TimeSeries:
    worked = f"sum by (job, arm) (rate({STATEMENT}_sum{{{ARM}}}[$window]))"
    requests = f"sum by (job, arm) (rate(http_requests_total{{{ARM}}}[$window]))"
    return time_series(
        "Time in the database per request",
        "Total time of the statements of the average request, by arm. Indexes, eager loading and caches lower it; "
        "many fast statements count as much as one slow one.",
        query(arm_or_job(f"{worked} / ({requests} > 0)"), "{{arm}}"),
        unit=units.SECONDS,
    ).height(9)


def _slow() -> TimeSeries:
    every = f"sum by (job, arm) (rate({STATEMENT}_count{{{ARM}}}[$window]))"
    quick = f'sum by (job, arm) (rate({STATEMENT}_bucket{{{ARM}, le="{SLOW_S:g}"}}[$window]))'
    return time_series(
        f"Statements over {SLOW_S * 1000:g} ms",
        "Statements per second that take longer, by arm. Each holds a connection that other requests wait for; good "
        "is none.",
        query(arm_or_job(f"clamp_min({every} - {quick}, 0)"), "{{arm}}"),
        unit=units.EVENTS_PER_SECOND,
    ).span(8)


def _operations() -> TimeSeries:
    return stacked(
        time_series(
            "Statements by operation",
            "Statements of the chosen arms. More writes than users cause, or BEGIN and COMMIT around single reads, "
            "are avoidable round trips.",
            query(f"topk(8, sum by (operation) (rate({STATEMENT}_count{{{ARM}}}[$window])))", "{{operation}}"),
            unit=units.OPERATIONS_PER_SECOND,
        ).span(8)
    )


def _failures() -> TimeSeries:
    failed = f"sum by (job, arm, error) (rate(db_client_operation_errors_total{{{ARM}}}[$window]))"
    every = f"sum by (job, arm) (rate({STATEMENT}_count{{{ARM}}}[$window]))"
    none = f"{every} * 0"
    panel = time_series(
        "Failed statements",
        "Statements that failed or were cancelled, by error class. Good is a line at zero; lock and timeout errors "
        "come before an exhausted pool.",
        query(arm_or_job(f"topk(12, {failed} or {none} unless on (job, arm) {failed})"), "{{arm}} {{error}}"),
        unit=units.EVENTS_PER_SECOND,
    )
    return panel.axis_soft_max(1).span(8)


def _lists() -> TimeSeries:
    return time_series(
        "Flight list, p95",
        "Response time of the flight list, by arm. The route filters and sorts the largest table: arms without "
        "indexes read all of it, and arms without pagination return every matching row.",
        query(f'handler:latency_seconds:p95_rate5m{{{ARM}, handler="/flights"}}', "{{arm}}"),
        unit=units.SECONDS,
    )


def _boards() -> TimeSeries:
    return time_series(
        "Departure boards, p95",
        "Response time of departure boards, by arm: one airport on one day, read through an index or by a scan of "
        "all flights, with one query or three hundred.",
        query(f'handler:latency_seconds:p95_rate5m{{{ARM}, handler="/airports/{{faa}}/departures"}}', "{{arm}}"),
        unit=units.SECONDS,
    )
