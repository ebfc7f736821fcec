"""Saturation: what fills up before requests fail, each as a share of what there is."""

from typing import Final

from grafana_foundation_sdk.builders.bargauge import Panel as Bars
from grafana_foundation_sdk.builders.timeseries import Panel as TimeSeries

from grafana import units
from grafana.panels.bars import bars
from grafana.panels.timeseries import time_series
from grafana.query import JOB, instant, query
from grafana.thresholds import above_is_bad
from prometheus.slo import load

DISPLAY: Final = load().display_thresholds


def saturation() -> list[Bars | TimeSeries]:
    """Return how full each resource is now and over time, and how long requests wait for each."""
    return [_now(), _over_time(), _waits()]


def shares() -> dict[str, str]:
    """Return for each resource the share in use, of the process that is worst off."""
    used = f'sum by (instance, pool) (db_client_connection_count{{state="used", {JOB}}})'
    size = f"sum by (instance, pool) (db_client_connection_max{{{JOB}}})"
    blocked = f"sum by (instance) (rate(event_loop_blocked_seconds_total{{{JOB}}}[$window]))"
    return {
        "processor": f"max(rate(process_cpu_seconds_total{{{JOB}}}[$window]))",
        "event loop": f"max({blocked} or up{{{JOB}}} * 0)",
        "threads": f"max(thread_limiter_borrowed_threads{{{JOB}}} / thread_limiter_limit_threads{{{JOB}}})",
        "connections": f"max({used} / {size})",
        "descriptors": f"max(process_open_fds{{{JOB}}} / process_max_fds{{{JOB}}})",
    }


def _now() -> Bars:
    return (
        bars(
            "How full",
            "The fullest process at this moment. Processor is of one core, which is all that one Python process can "
            "use; event loop is the time in which one request kept all others waiting. Short bars are good.",
            *(instant(expr, name) for name, expr in shares().items()),
            unit=units.SHARE,
        )
        .max(1)
        .thresholds(above_is_bad(DISPLAY.nearly_full_ratio, warning=DISPLAY.filling_ratio))
        .span(6)
    )


def _over_time() -> TimeSeries:
    return (
        time_series(
            "How full, over time",
            "The same, over time. What reaches 100% first is what to enlarge or to use less; the others follow it.",
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
        "How long one request in twenty waits for a database connection, for a worker thread, and for its turn on the "
        "event loop. A few milliseconds are good; a wait that grows is a resource that is full.",
        query(p95("db_client_connection_wait_time_seconds"), "connection"),
        query(p95("thread_limiter_wait_seconds"), "thread"),
        query(p95("event_loop_lag_seconds"), "event loop"),
        unit=units.SECONDS,
    ).span(9)
