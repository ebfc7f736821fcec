"""The task queue: sent, waited, ran, how it ended; and the broker in between."""

from typing import Final

from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.stat import Panel as Stat
from grafana_foundation_sdk.builders.timeseries import Panel as TimeSeries

from grafana import units
from grafana.panels.stat import stat
from grafana.panels.timeseries import stacked, time_series, with_threshold_line
from grafana.query import instant, query, top_expr
from grafana.thresholds import above_is_bad, below_is_bad
from prometheus.slo import load

LIMITS: Final = load().limits
FEW: Final = 4
"""Tasks that fit into a panel which shows two lines of each."""


def tasks() -> list[Stat | TimeSeries]:
    """Return the way of tasks through the queue."""
    return [_workers(), _failing(), _retried(), _sent_and_ended(), _waits(), _runs(), _states()]


def _workers() -> Stat:
    return (
        stat(
            "Workers",
            "Worker processes that Prometheus reaches. At zero, tasks that are sent wait until one comes back.",
            instant('count(up{job="worker"} == 1) or vector(0)', "workers"),
            unit=units.COUNT,
        )
        .thresholds(below_is_bad(1))
        .span(4)
        .height(8)
    )


def _failing() -> Stat:
    ended = "sum(rate(tasks_total[$window]))"
    limit = LIMITS.task_failure_ratio
    return (
        stat(
            "Tasks that fail",
            f"Share of executions that ended in an error. Good is zero; from {limit:.0%} on an alert fires.",
            instant(f'(sum(rate(tasks_total{{state="failure"}}[$window])) or {ended} * 0) / ({ended} > 0)', "failed"),
            unit=units.SHARE,
        )
        .thresholds(above_is_bad(limit))
        .span(4)
        .height(8)
    )


def _retried() -> Stat:
    ended = "sum(rate(tasks_total[$window]))"
    return (
        stat(
            "Tasks that are retried",
            "Executions that ended with another attempt. Some are good: a broken connection is worth one; a task "
            "that is retried for ever hides a bug.",
            instant(f'sum(rate(tasks_total{{state="retry"}}[$window])) or {ended} * 0', "retries"),
            unit=units.EVENTS_PER_SECOND,
        )
        .span(4)
        .height(8)
    )


def _sent_and_ended() -> TimeSeries:
    return time_series(
        "Sent and ended",
        "Tasks sent to the broker and executions that ended. The lines lie on each other while workers keep up; a "
        "gap that stays is a queue that grows.",
        query("sum(rate(tasks_published_total[$window]))", "sent"),
        query("sum(rate(tasks_total[$window]))", "ended"),
        query("sum(tasks_inprogress)", "running now"),
        unit=units.COUNT,
    )


def _waits() -> TimeSeries:
    return with_threshold_line(
        time_series(
            "Wait in the queue",
            "Time from sending a task until a worker begins it. Good is below a second; from the dashed line on "
            f"({LIMITS.task_wait_s:g} s) an alert fires: add workers, or find the task that blocks them.",
            *_quantiles("task_queue_wait_seconds"),
            unit=units.SECONDS,
        ).no_value("no task yet"),
        above_is_bad(LIMITS.task_wait_s),
    ).span(8)


def _runs() -> TimeSeries:
    panel = time_series(
        "Run time",
        "How long one execution takes. It decides how many workers the rate of tasks needs: rate times run time.",
        *_quantiles("task_run_seconds"),
        unit=units.SECONDS,
    )
    return panel.no_value("no task yet").span(8)


def _states() -> TimeSeries:
    return stacked(
        time_series(
            "How tasks end",
            "Executions by their end. Success should be nearly all of it; revoked are exports that somebody cancelled.",
            query("topk(6, sum by (state) (rate(tasks_total[$window])))", "{{state}}"),
            unit=units.EVENTS_PER_SECOND,
        )
    ).span(8)


def broker() -> list[TimeSeries]:
    """Return what RabbitMQ says about its queues."""
    return [
        time_series(
            "Messages in the broker",
            "Messages that no worker has taken yet, and messages that a worker has taken and not acknowledged; those "
            "go back when their worker dies. Good is near zero; a line that only grows lacks a worker.",
            query("sum(rabbitmq_queue_messages_ready)", "waiting"),
            query("sum(rabbitmq_queue_messages_unacked)", "taken"),
            unit=units.COUNT,
        ).span(8),
        time_series(
            "Consumers and connections",
            "Who is connected to RabbitMQ, and how many consumers take messages. Without consumers messages wait.",
            query("sum(rabbitmq_queue_consumers)", "consumers"),
            query("sum(rabbitmq_connections)", "connections"),
            unit=units.COUNT,
        ).span(8),
        time_series(
            "Memory of the broker",
            "What RabbitMQ takes, as a share of its high watermark. At 100% it stops taking messages, and exports are "
            "answered 503.",
            query(
                "topk(4, rabbitmq_process_resident_memory_bytes / rabbitmq_resident_memory_limit_bytes)",
                "{{job}} {{instance}}",
            ),
            unit=units.SHARE,
        ).span(8),
    ]


def _quantiles(histogram: str) -> list[Dataquery]:
    def at(quantile: float) -> str:
        buckets = f"sum by (task, le) (rate({histogram}_bucket[$window]))"
        return top_expr(f"histogram_quantile({quantile:g}, {buckets})", number=FEW)

    return [query(at(0.5), "p50 {{task}}"), query(at(0.95), "p95 {{task}}")]
