"""Service: rate, errors, duration, SLOs and saturation of any instrumented application.

Nothing here assumes an arm or a group of routes: the variables list what exists.
"""

from typing import Final

from grafana_foundation_sdk.builders.common import TableSortByFieldState
from grafana_foundation_sdk.builders.heatmap import Panel as Heatmap
from grafana_foundation_sdk.builders.table import Panel as Table
from grafana_foundation_sdk.builders.timeseries import Panel as TimeSeries
from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana import units
from grafana.board import Board, Section
from grafana.boards.overview import overview
from grafana.boards.saturation import saturation
from grafana.boards.slo import slos
from grafana.links import cell_link
from grafana.panels.heatmap import heatmap
from grafana.panels.table import Column, table
from grafana.panels.timeseries import stacked, time_series, with_legend_table, with_threshold_line
from grafana.query import JOB_AND_HANDLER, heatmap_query, query, rows, top_expr
from grafana.thresholds import above_is_bad
from prometheus.slo import Objectives

LATENCY: Final = "http_response_last_byte_seconds"


def dashboard(objectives: Objectives) -> Dashboard:
    return Board(
        uid="flightdeck-service",
        title="Service (RED and SLO)",
        question="Does the service meet its SLOs, and if not, which route is the cause?",
        sections=[
            Section(title="", panels=overview(objectives)),
            Section(
                title="Rate, errors, duration",
                panels=[_rate(), _responses(), _durations(), _quantiles(), _slowest(), _errors(objectives)],
            ),
            Section(title="Routes", panels=[_routes(objectives)]),
            Section(title="SLOs", panels=slos(objectives)),
            Section(title="Saturation", panels=saturation(objectives.display_thresholds)),
        ],
        variables=("datasource", "job", "arm of job", "handler of job", "window"),
    ).build(objectives)


def _rate() -> TimeSeries:
    rate = f"sum by (handler) (rate(http_requests_total{{{JOB_AND_HANDLER}}}[$window]))"
    panel = time_series(
        "Requests by route",
        "Requests per second of each route, the twelve highest. A line that falls to zero while others go on is a "
        "route that clients cannot reach any more.",
        query(top_expr(rate), "{{handler}}"),
        unit=units.REQUESTS_PER_SECOND,
    )
    return with_legend_table(panel)


def _responses() -> TimeSeries:
    by_class = f"sum by (status) (rate(http_requests_total{{{JOB_AND_HANDLER}}}[$window]))"
    named = f'label_replace({by_class}, "status", "disconnected", "status", "client_disconnected")'
    return stacked(
        time_series(
            "Responses by status class",
            "All responses, stacked by status class. 5xx (red) is a failure of the service and spends error budget; "
            "4xx is an error of the client; disconnected means that the client closed the connection first. Good is "
            "no red at all.",
            query(f"topk(6, {named})", "{{status}}"),
            unit=units.REQUESTS_PER_SECOND,
        )
    )


def _durations() -> Heatmap:
    return heatmap(
        "Response time",
        "Each column is a moment, each cell counts the requests that took that long to their last byte. Good is one "
        "dark band at the bottom; a second band above it is a second kind of request, often a cache miss or a wait "
        "for a connection. Dots are single requests: click one to open its trace.",
        heatmap_query(f"sum by (le) (increase({LATENCY}_bucket{{{JOB_AND_HANDLER}}}[$__rate_interval]))"),
        unit=units.SECONDS,
    )


def _quantiles() -> TimeSeries:
    def at(quantile: float) -> str:
        buckets = f"sum by (le) (rate({LATENCY}_bucket{{{JOB_AND_HANDLER}}}[$window]))"
        return f"histogram_quantile({quantile:g}, {buckets})"

    panel = time_series(
        "Response time quantiles",
        "50% of the requests are faster than p50, 95% faster than p95, 99% faster than p99. A p99 far above the "
        "others means that a few requests wait for something that most do not need.",
        query(at(0.5), "p50"),
        query(at(0.95), "p95"),
        query(at(0.99), "p99"),
        unit=units.SECONDS,
    )
    return panel.height(9)


def _slowest() -> TimeSeries:
    buckets = f"sum by (handler, le) (rate({LATENCY}_bucket{{{JOB_AND_HANDLER}}}[$window]))"
    slowest = top_expr(f"histogram_quantile(0.95, {buckets})", number=8)
    panel = time_series(
        "Slowest routes, p95",
        "The eight slowest routes. Compare a route with its objective below; a route that slows down at a constant "
        "rate does more work per request.",
        query(slowest, "{{handler}}"),
        unit=units.SECONDS,
    )
    return with_legend_table(panel)


def _errors(objectives: Objectives) -> TimeSeries:
    per_route = f"sum by (handler) (rate(http_requests_total{{{JOB_AND_HANDLER}}}[$window]))"
    failed = f'sum by (handler) (rate(http_requests_total{{{JOB_AND_HANDLER}, status="5xx"}}[$window]))'
    share = f"({failed} or {per_route} * 0) / ({per_route} > 0)"
    panel = with_threshold_line(
        time_series(
            "Share of failed requests by route",
            "5xx responses of each route, the eight worst. Good is zero; the dashed line is what the strictest "
            f"objective of slo.toml allows ({1 - objectives.strictest:.2%}).",
            query(top_expr(share, number=8), "{{handler}}"),
            unit=units.SHARE,
        ),
        above_is_bad(1 - objectives.strictest),
    )
    return with_legend_table(panel).axis_soft_max(5 * (1 - objectives.strictest))


def _routes(objectives: Objectives) -> Table:
    by = "by (handler)"
    requests = f"sum {by} (handler:requests:rate5m{{{JOB_AND_HANDLER}}})"
    failed = f'sum {by} (rate(http_requests_total{{{JOB_AND_HANDLER}, status="5xx"}}[$window]))'
    return (
        table(
            "All routes",
            "One row for each route over five minutes, the slowest first. Many queries or many bytes explain most "
            "slow routes: see the boards Database, Caching and Compression.",
            Column(title="Requests", query=rows(requests), unit=units.REQUESTS_PER_SECOND, bar=True),
            Column(
                title="Failed",
                query=rows(f"({failed} or {requests} * 0) / ({requests} > 0)"),
                unit=units.SHARE,
                decimals=2,
                thresholds=above_is_bad(1 - objectives.strictest),
            ),
            Column(
                title="p50", query=rows(f"max {by} (handler:latency_seconds:p50_rate5m{{{JOB_AND_HANDLER}}})"), unit="s"
            ),
            Column(
                title="p95", query=rows(f"max {by} (handler:latency_seconds:p95_rate5m{{{JOB_AND_HANDLER}}})"), unit="s"
            ),
            Column(
                title="Queries per request",
                query=rows(f"max {by} (handler:queries_per_request:ratio_rate5m{{{JOB_AND_HANDLER}}})"),
                unit=units.COUNT,
                decimals=1,
                thresholds=above_is_bad(objectives.limits.queries_per_request),
            ),
            Column(
                title="Bytes per response",
                query=rows(f"max {by} (handler:response_bytes_per_request:ratio_rate5m{{{JOB_AND_HANDLER}}})"),
                unit=units.BYTES,
            ),
            key={"handler": "Route"},
        )
        .height(10)
        .sort_by([TableSortByFieldState().display_name("p95").desc(True)])
        .override_by_name("Route", [cell_link("flightdeck-database", "Queries", "handler")])
    )
