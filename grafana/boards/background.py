"""Async and background: who blocks the event loop or waits for threads, what happens after the response, tasks."""

from typing import Final

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
from prometheus.slo import load

LIMITS: Final = load().limits


def dashboard() -> Dashboard:
    """Return the board about everything that makes others wait."""
    return Board(
        uid="flightdeck-async",
        title="Async and background",
        question="Who keeps the event loop or the threads from serving others, and does what can wait really wait?",
        sections=[
            Section(title="Event loop", panels=[_guilty(), _lag(), _stall()]),
            Section(title="Threads", panels=[_occupied(), _thread_wait(), _thread_queue()]),
            Section(title="After the response", panels=[_background(), _first_byte()]),
            Section(title="Task queue", panels=tasks.tasks()),
            Section(title="Broker (RabbitMQ)", panels=tasks.broker(), collapsed=True),
        ],
        variables=("datasource", "arm", "window"),
    ).build()


def _guilty() -> Bars:
    blocked = f"sum by (job, arm, handler) (rate(event_loop_blocked_seconds_total{{{ARM}}}[$window]))"
    return (
        bars(
            "Who blocks the event loop",
            "Share of the time in which a route kept the loop from doing anything else, the twelve worst at this "
            f"moment. Every other request waits meanwhile. Good is near zero; from {LIMITS.loop_blocked_ratio:.0%} on "
            "an alert names the route.",
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
            "How late the loop runs a timer, one time in a hundred, by arm. Good is a few milliseconds; it is what "
            "every request pays for somebody else's blocking call.",
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
            "How late the loop was at the worst moment, measured from outside of it, so that it shows also while the "
            "loop hangs. Above a second, health checks fail.",
            query(
                arm_or_job(f"max by (job, arm) (max_over_time(event_loop_stall_seconds{{{ARM}}}[$window]))"), "{{arm}}"
            ),
            unit=units.SECONDS,
        )
        .span(6)
        .height(10)
    )


def _occupied() -> Panel:
    limit = LIMITS.thread_occupancy_ratio
    share = f"thread_limiter_borrowed_threads{{{ARM}}} / thread_limiter_limit_threads{{{ARM}}}"
    return with_threshold_line(
        time_series(
            "Threads in use",
            "Of those that a limiter allows: `def` endpoints share the limiter default. At the dashed line "
            f"({limit:.0%}) blocking work stands in line.",
            query(arm_or_job(top_expr(f"max by (job, arm, limiter) ({share})")), "{{arm}} {{limiter}}"),
            unit=units.SHARE,
        ).max(1),
        above_is_bad(limit),
    ).span(8)


def _thread_wait() -> Panel:
    waits = quantile(0.95, "thread_limiter_wait_seconds", by="job, arm, limiter")
    return time_series(
        "Wait for a thread, p95",
        "Time from asking for a thread until it works. Good is below a millisecond; more means that the limiter is too "
        "small for what is offloaded, or that the work is too long for threads.",
        query(arm_or_job(top_expr(waits)), "{{arm}} {{limiter}}"),
        unit=units.SECONDS,
    ).span(8)


def _thread_queue() -> Panel:
    queued = f"sum by (job, arm, limiter) (rate(thread_limiter_queue_seconds_total{{{ARM}}}[$window]))"
    return (
        time_series(
            "Tasks that wait for a thread",
            "Average length of the line before each limiter. Good is zero: what waits here has a request waiting "
            "behind it.",
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
            "Seconds per second for which requests go on working after their last byte, the ten most. Nobody waits "
            "for it, but it takes the same process; what takes longer than a request belongs into the task queue.",
            instant(f"sort_desc({arm_or_job(f'topk(10, {worked})')})", "{{arm}} {{handler}}"),
            unit=units.SHARE,
        )
        .span(12)
        .height(9)
    )


def _first_byte() -> Panel:
    updated = f'{ARM}, handler="/flights/{{flight_id}}/status"'
    return time_series(
        "Status update until its response, p95",
        "What a client waits for when it reports a departure, by arm. Arms that do side effects before the response "
        "are slower here; arms that do them afterwards show the work on the left instead.",
        query(quantile(0.95, "http_response_first_byte_seconds", by="job, arm", matching=updated), "{{arm}}"),
        unit=units.SECONDS,
    ).height(9)
