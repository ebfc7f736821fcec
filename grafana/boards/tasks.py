"""The task queue: published, waiting, running and finished tasks; and the broker."""

from typing import Final

from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.stat import Panel as Stat
from grafana_foundation_sdk.builders.timeseries import Panel as TimeSeries

from grafana import units
from grafana.panels.stat import stat
from grafana.panels.timeseries import stacked, time_series, with_threshold_line
from grafana.query import instant, query, top_expr
from grafana.thresholds import above_is_bad, below_is_bad
from prometheus.slo import Limits

MAX_TASKS: Final = 4
"""Of a panel with two lines for each."""
NO_TASK: Final = "no task yet"


def tasks(limits: Limits) -> list[Stat | TimeSeries]:
    return [*_numbers(limits), _published_and_finished(), _waits(limits), _runs(), _states()]


def _numbers(limits: Limits) -> list[Stat]:
    finished = "sum(rate(tasks_total[$window]))"
    failed, retried = (
        f'sum(rate(tasks_total{{state="{state}"}}[$window])) or {finished} * 0' for state in ("failure", "retry")
    )
    limit = limits.task_failure_ratio
    panels = [
        stat(
            "Workers",
            "Worker processes that Prometheus can scrape. At zero, published tasks stay queued until a worker starts.",
            instant('count(up{job="worker"} == 1) or vector(0)', "workers"),
            unit=units.COUNT,
        ).thresholds(below_is_bad(1)),
        stat(
            "Failed tasks",
            f"Share of executions that ended in an error. Good is zero; from {limit:.0%} on the alert TasksFailing "
            "fires.",
            instant(f"({failed}) / ({finished} > 0)", "failed"),
            unit=units.SHARE,
        )
        .no_value(NO_TASK)
        .thresholds(above_is_bad(limit)),
        stat(
            "Task retries",
            "Executions per second that ended in a retry. A few are normal: a broken connection is worth one. A task "
            "that is retried without end hides a bug.",
            instant(retried, "retries"),
            unit=units.EVENTS_PER_SECOND,
        ).no_value(NO_TASK),
    ]
    return [panel.span(4).height(8) for panel in panels]


def _published_and_finished() -> TimeSeries:
    return time_series(
        "Published and finished",
        "Tasks published to the broker and executions that finished, per second, and executions in progress. The "
        "first two lines coincide while workers keep up; a lasting gap is a growing queue.",
        query("sum(rate(tasks_published_total[$window]))", "published"),
        query("sum(rate(tasks_total[$window]))", "finished"),
        query("sum(tasks_inprogress)", "running"),
        unit=units.COUNT,
    ).no_value(NO_TASK)


def _waits(limits: Limits) -> TimeSeries:
    return with_threshold_line(
        time_series(
            "Queue wait",
            "Time from publishing a task until a worker starts it. Good is below a second; from the dashed line on "
            f"({limits.task_wait_s:g} s) the alert TaskQueueWaitHigh fires: add workers, or find the task that "
            "occupies them.",
            *_quantiles("task_queue_wait_seconds"),
            unit=units.SECONDS,
        ).no_value(NO_TASK),
        above_is_bad(limits.task_wait_s),
    ).span(8)


def _runs() -> TimeSeries:
    panel = time_series(
        "Run time",
        "Duration of one execution. The rate of tasks times their run time is the number of workers needed.",
        *_quantiles("task_run_seconds"),
        unit=units.SECONDS,
    )
    return panel.no_value(NO_TASK).span(8)


def _states() -> TimeSeries:
    return stacked(
        time_series(
            "Executions by state",
            "Executions per second by their final state. Nearly all should be success; revoked are cancelled exports.",
            query("topk(6, sum by (state) (rate(tasks_total[$window])))", "{{state}}"),
            unit=units.EVENTS_PER_SECOND,
        ).no_value(NO_TASK)
    ).span(8)


def broker() -> list[TimeSeries]:
    return [
        time_series(
            "Messages in the broker",
            "Messages ready for a worker, and messages that a worker received and has not acknowledged; those are "
            "redelivered when the worker dies. Good is near zero; ready messages that only grow need more workers.",
            query("sum(rabbitmq_queue_messages_ready)", "ready"),
            query("sum(rabbitmq_queue_messages_unacked)", "unacknowledged"),
            unit=units.COUNT,
        ).span(8),
        time_series(
            "Consumers and connections",
            "Connections to RabbitMQ, and consumers that receive messages. Without a consumer, messages stay queued.",
            query("sum(rabbitmq_queue_consumers)", "consumers"),
            query("sum(rabbitmq_connections)", "connections"),
            unit=units.COUNT,
        ).span(8),
        time_series(
            "Broker memory",
            "Memory of RabbitMQ as a share of its high watermark. At 100% it blocks publishers, and requests for "
            "exports get 503.",
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
        return top_expr(f"histogram_quantile({quantile:g}, {buckets})", number=MAX_TASKS)

    return [query(at(0.5), "p50 {{task}}"), query(at(0.95), "p95 {{task}}")]
