"""Service: rate, errors and duration of any instrumented application, what it promised, and how full it is.

Nothing here assumes an arm or a group of routes: the variables find what there is.
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
from grafana.boards.slo import promises
from grafana.links import cell_link
from grafana.panels.heatmap import heatmap
from grafana.panels.legend import with_legend_table
from grafana.panels.table import Column, table
from grafana.panels.timeseries import stacked, time_series, with_threshold_line
from grafana.query import JOB_AND_HANDLER, heatmap_query, query, rows, top_expr
from grafana.thresholds import above_is_bad
from prometheus.slo import load

WAITED: Final = "http_response_last_byte_seconds"
OBJECTIVES: Final = load()
STRICTEST: Final = max(group.availability.objective for group in OBJECTIVES.groups.values())


def dashboard() -> Dashboard:
    """Return the board that any instrumented application gets."""
    return Board(
        uid="flightdeck-service",
        title="Service (RED and SLO)",
        question="Do users of this service get what they were promised, and if not, which route fails them?",
        sections=[
            Section(title="", panels=overview()),
            Section(
                title="Rate, errors, duration",
                panels=[_rate(), _answers(), _durations(), _quantiles(), _slowest(), _errors()],
            ),
            Section(title="Routes", panels=[_routes()]),
            Section(title="Promises", panels=promises()),
            Section(title="Saturation", panels=saturation()),
        ],
        variables=("datasource", "job", "arm of job", "handler of job", "window"),
    ).build()


def _rate() -> TimeSeries:
    rate = f"sum by (handler) (rate(http_requests_total{{{JOB_AND_HANDLER}}}[$window]))"
    panel = time_series(
        "Requests by route",
        "How often each route is asked, the twelve busiest. A line that falls to zero while others go on is a route "
        "that clients can not reach any more.",
        query(top_expr(rate), "{{handler}}"),
        unit=units.REQUESTS_PER_SECOND,
    )
    return with_legend_table(panel)


def _answers() -> TimeSeries:
    by_status = f"sum by (status) (rate(http_requests_total{{{JOB_AND_HANDLER}}}[$window]))"
    by_class = f'label_replace({by_status}, "class", "${{1}}xx", "status", "([1-5])..")'
    named = f'label_replace({by_class}, "class", "gone", "status", "client_disconnected")'
    return stacked(
        time_series(
            "Answers by kind",
            "All answers, in layers by the first digit of their status. Red is the service's fault (5xx) and costs "
            "error budget; 4xx is the client's; gone means that the client did not wait. Good is no red at all.",
            query(f"topk(6, sum by (class) ({named}))", "{{class}}"),
            unit=units.REQUESTS_PER_SECOND,
        )
    )


def _durations() -> Heatmap:
    return heatmap(
        "How long clients wait",
        "Each column is a moment, each cell how many requests took that long until their last byte. Good is one dark "
        "band low down; a second band above it is a second kind of request, often a cache miss or a wait for a "
        "connection. Dots are single requests: click one to open its trace.",
        heatmap_query(f"sum by (le) (increase({WAITED}_bucket{{{JOB_AND_HANDLER}}}[$__rate_interval]))"),
        unit=units.SECONDS,
    )


def _quantiles() -> TimeSeries:
    def at(quantile: float) -> str:
        buckets = f"sum by (le) (rate({WAITED}_bucket{{{JOB_AND_HANDLER}}}[$window]))"
        return f"histogram_quantile({quantile:g}, {buckets})"

    panel = time_series(
        "Duration",
        "Half of the requests are quicker than p50, all but one in twenty quicker than p95, all but one in a hundred "
        "quicker than p99. When p99 leaves the others behind, few requests wait for something that most do not need.",
        query(at(0.5), "p50"),
        query(at(0.95), "p95"),
        query(at(0.99), "p99"),
        unit=units.SECONDS,
    )
    return panel.height(9)


def _slowest() -> TimeSeries:
    buckets = f"sum by (handler, le) (rate({WAITED}_bucket{{{JOB_AND_HANDLER}}}[$window]))"
    slowest = top_expr(f"histogram_quantile(0.95, {buckets})", number=8)
    panel = time_series(
        "Slowest routes, p95",
        "The eight slowest routes. Compare a route with its promise below; a route that climbs while its rate does "
        "not is doing more work per request.",
        query(slowest, "{{handler}}"),
        unit=units.SECONDS,
    )
    return with_legend_table(panel)


def _errors() -> TimeSeries:
    per_route = f"sum by (handler) (rate(http_requests_total{{{JOB_AND_HANDLER}}}[$window]))"
    failed = f'sum by (handler) (rate(http_requests_total{{{JOB_AND_HANDLER}, status=~"5.."}}[$window]))'
    share = f"({failed} or {per_route} * 0) / ({per_route} > 0)"
    panel = with_threshold_line(
        time_series(
            "Share of failed requests by route",
            "5xx answers of each route, the eight worst. Good is zero; the dashed line is what the strictest "
            f"objective of slo.toml leaves ({1 - STRICTEST:.2%}).",
            query(top_expr(share, number=8), "{{handler}}"),
            unit=units.SHARE,
        ),
        above_is_bad(1 - STRICTEST),
    )
    return with_legend_table(panel).axis_soft_max(5 * (1 - STRICTEST))


def _routes() -> Table:
    by = "by (handler)"
    asked = f"sum {by} (handler:requests:rate5m{{{JOB_AND_HANDLER}}})"
    failed = f'sum {by} (rate(http_requests_total{{{JOB_AND_HANDLER}, status=~"5.."}}[$window]))'
    return (
        table(
            "Every route",
            "One row for each route over five minutes, the slowest first. Many queries or many bytes explain most slow "
            "routes: the boards Database, Caching and Compression say what helps.",
            Column(title="Requests", query=rows(asked), unit=units.REQUESTS_PER_SECOND, bar=True),
            Column(
                title="Failed",
                query=rows(f"({failed} or {asked} * 0) / ({asked} > 0)"),
                unit=units.SHARE,
                decimals=2,
                thresholds=above_is_bad(1 - STRICTEST),
            ),
            Column(
                title="p50", query=rows(f"max {by} (handler:latency_p50_seconds:5m{{{JOB_AND_HANDLER}}})"), unit="s"
            ),
            Column(
                title="p95", query=rows(f"max {by} (handler:latency_p95_seconds:5m{{{JOB_AND_HANDLER}}})"), unit="s"
            ),
            Column(
                title="Queries per request",
                query=rows(f"max {by} (handler:queries_per_request:5m{{{JOB_AND_HANDLER}}})"),
                unit=units.COUNT,
                decimals=1,
                thresholds=above_is_bad(OBJECTIVES.limits.queries_per_request),
            ),
            Column(
                title="Bytes per answer",
                query=rows(f"max {by} (handler:response_bytes_per_request:5m{{{JOB_AND_HANDLER}}})"),
                unit=units.BYTES,
            ),
            key={"handler": "Route"},
        )
        .height(10)
        .sort_by([TableSortByFieldState().display_name("p95").desc(True)])
        .override_by_name("Route", [cell_link("flightdeck-database", "Its queries", "handler")])
    )
