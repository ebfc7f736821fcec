"""Saturation: the use of each resource that requests wait for, as a share of its limit."""

from grafana_foundation_sdk.builders.bargauge import Panel as Bars
from grafana_foundation_sdk.builders.timeseries import Panel as TimeSeries

from grafana import units
from grafana.panels.bars import bars
from grafana.panels.timeseries import time_series
from grafana.query import JOB, instant, query
from grafana.thresholds import above_is_bad
from prometheus.slo import DisplayThresholds


def saturation(display: DisplayThresholds) -> list[Bars | TimeSeries]:
    return [_now(display), _over_time(), _waits()]


def shares() -> dict[str, str]:
    """Return PromQL for the share in use of each resource, in the most saturated process."""
    by = "sum by (instance, db_client_connection_pool_name)"
    used = f'{by} (db_client_connection_count{{db_client_connection_state="used", {JOB}}})'
    size = f"{by} (db_client_connection_max{{{JOB}}})"
    blocked = f"sum by (instance) (rate(event_loop_blocked_seconds_total{{{JOB}}}[$window]))"
    return {
        "CPU": f"max(rate(process_cpu_seconds_total{{{JOB}}}[$window]))",
        "event loop": f"max({blocked} or up{{{JOB}}} * 0)",
        "threads": f"max(thread_limiter_borrowed_threads{{{JOB}}} / thread_limiter_limit_threads{{{JOB}}})",
        "connections": f"max({used} / {size})",
        "descriptors": f"max(process_open_fds{{{JOB}}} / process_max_fds{{{JOB}}})",
    }


def _now(display: DisplayThresholds) -> Bars:
    return (
        bars(
            "Saturation",
            "The most saturated process at this moment. CPU is the share of one core, which is all that one Python "
            "process can use; event loop is the share of time in which one request blocked all others. Short bars "
            "are good.",
            *(instant(expr, name) for name, expr in shares().items()),
            unit=units.SHARE,
        )
        .max(1)
        .thresholds(above_is_bad(display.nearly_full_ratio, warning=display.filling_ratio))
        .span(6)
    )


def _over_time() -> TimeSeries:
    return (
        time_series(
            "Saturation over time",
            "The same over time. What reaches 100% first is the bottleneck: enlarge it, or use less of it.",
            *(query(expr, name) for name, expr in shares().items()),
            unit=units.SHARE,
        )
        .span(9)
        .axis_soft_max(1)
    )


def _waits() -> TimeSeries:
    def p95(histogram: str) -> str:
        return f"histogram_quantile(0.95, sum by (le) (rate({histogram}_bucket{{{JOB}}}[$window])))"

    return time_series(
        "Waits, p95",
        "Wait for a database connection, for a worker thread, and for the event loop. A few milliseconds are good; a "
        "wait that grows is a saturated resource.",
        query(p95("db_client_connection_wait_time_seconds"), "connection"),
        query(p95("thread_limiter_wait_seconds"), "thread"),
        query(p95("event_loop_lag_seconds"), "event loop"),
        unit=units.SECONDS,
    ).span(9)
