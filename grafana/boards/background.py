"""Async and background: blocking routes, threads, work after the response, tasks."""

from grafana_foundation_sdk.builders.bargauge import Panel as Bars
from grafana_foundation_sdk.builders.timeseries import Panel
from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana import units
from grafana.board import Board, Section
from grafana.boards import tasks
from grafana.panels.bars import bars
from grafana.panels.timeseries import time_series, with_threshold_line
from grafana.query import ARM, arm_or_job, instant, quantile, query, top_expr
from grafana.thresholds import above_is_bad
from prometheus.slo import Limits, Objectives


def dashboard(objectives: Objectives) -> Dashboard:
    return Board(
        uid="flightdeck-async",
        title="Async and background",
        question="What blocks the event loop or exhausts the thread pool, and is deferrable work really deferred?",
        sections=[
            Section(title="Event loop", panels=[_blocking_routes(objectives.limits), _lag(), _stall()]),
            Section(title="Threads", panels=[_occupied(objectives.limits), _thread_wait(), _thread_queue()]),
            Section(title="After the response", panels=[_background(), _first_byte()]),
            Section(title="Task queue", panels=tasks.tasks(objectives.limits)),
            Section(title="Broker (RabbitMQ)", panels=tasks.broker(), collapsed=True),
        ],
        variables=("datasource", "arm", "window"),
    ).build(objectives)


def _blocking_routes(limits: Limits) -> Bars:
    blocked = f"sum by (job, arm, handler) (rate(event_loop_blocked_seconds_total{{{ARM}}}[$window]))"
    return (
        bars(
            "Blocking routes",
            "Share of the time in which a route blocked the event loop, the twelve highest at this moment. Every "
            f"other request of the process waits meanwhile. Good is near zero; from {limits.loop_blocked_ratio:.0%} "
            "on the alert EventLoopBlocked names the route.",
            instant(f"sort_desc({arm_or_job(f'topk(12, {blocked})')})", "{{arm}} {{handler}}"),
            unit=units.SHARE,
        )
        .span(12)
        .height(10)
    )


def _lag() -> Panel:
    return (
        time_series(
            "Event-loop lag, p99",
            "Delay of the loop's timers, by arm. Good is a few milliseconds. When a route blocks the loop, every "
            "request pays this delay.",
            query(arm_or_job(quantile(0.99, "event_loop_lag_seconds", by="job, arm")), "{{arm}}"),
            unit=units.SECONDS,
        )
        .span(6)
        .height(10)
    )


def _stall() -> Panel:
    return (
        time_series(
            "Longest stall",
            "Longest time for which the loop did not run, measured from another thread, so that a loop that hangs "
            "shows too. Probes with a shorter timeout fail.",
            query(
                arm_or_job(f"max by (job, arm) (max_over_time(event_loop_stall_seconds{{{ARM}}}[$window]))"), "{{arm}}"
            ),
            unit=units.SECONDS,
        )
        .span(6)
        .height(10)
    )


def _occupied(limits: Limits) -> Panel:
    limit = limits.thread_occupancy_ratio
    share = f"thread_limiter_borrowed_threads{{{ARM}}} / thread_limiter_limit_threads{{{ARM}}}"
    return with_threshold_line(
        time_series(
            "Threads in use",
            "Threads in use as a share of each limiter's limit; `def` endpoints share the limiter default. At the "
            f"dashed line ({limit:.0%}) blocking work queues up.",
            query(arm_or_job(top_expr(f"max by (job, arm, limiter) ({share})")), "{{arm}} {{limiter}}"),
            unit=units.SHARE,
        ).max(1),
        above_is_bad(limit),
    ).span(8)


def _thread_wait() -> Panel:
    waits = quantile(0.95, "thread_limiter_wait_seconds", by="job, arm, limiter")
    return time_series(
        "Wait for a thread, p95",
        "Time from requesting a thread to the start of the work. Good is below a millisecond; more means that the "
        "limiter is too small for the offloaded work, or that the work is too long for threads.",
        query(arm_or_job(top_expr(waits)), "{{arm}} {{limiter}}"),
        unit=units.SECONDS,
    ).span(8)


def _thread_queue() -> Panel:
    queued = f"sum by (job, arm, limiter) (rate(thread_limiter_queue_seconds_total{{{ARM}}}[$window]))"
    return (
        time_series(
            "Tasks waiting for a thread",
            "Average number of tasks queued for each limiter. Good is zero: behind each of them a request waits.",
            query(arm_or_job(top_expr(queued)), "{{arm}} {{limiter}}"),
            unit=units.COUNT,
        )
        .axis_soft_max(1)
        .span(8)
    )


def _background() -> Bars:
    worked = f"sum by (job, arm, handler) (rate(http_background_seconds_sum{{{ARM}}}[$window]))"
    return (
        bars(
            "Work after the response",
            "Seconds per second that requests spend in background tasks after their last byte, the ten highest. "
            "Clients do not wait for it, but it uses the same process; what takes longer than a request belongs in "
            "the task queue.",
            instant(f"sort_desc({arm_or_job(f'topk(10, {worked})')})", "{{arm}} {{handler}}"),
            unit=units.SHARE,
        )
        .span(12)
        .height(9)
    )


def _first_byte() -> Panel:
    updated = f'{ARM}, handler="/flights/{{flight_id}}/status"'
    return (
        time_series(
            "Status update: time to first byte, p95",
            "Time to the first byte of a status update, by arm. Arms without background tasks notify subscribers "
            "before the response and are slower here; arms with them show that work in the panel on the left.",
            query(quantile(0.95, "http_response_first_byte_seconds", by="job, arm", matching=updated), "{{arm}}"),
            unit=units.SECONDS,
        )
        .no_value("no status update yet")
        .height(9)
    )
