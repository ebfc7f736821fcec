"""Alerts for the task queue: waiting, failing, stuck, without a worker."""

from prometheus.promql import growth
from prometheus.rule import Alert, Group
from prometheus.slo import Objectives

BOARD = "flightdeck-async"
MIN_TASKS = 3
"""Finished within half an hour."""


def task_alerts(objectives: Objectives) -> Group:
    """Return the alerts on queue wait, failures, workers and progress; Celery's targets are the job `worker`."""
    limits = objectives.limits
    published = f"sum by (task) ({growth('tasks_published_total', '', '15m')})"
    failed = 'sum by (task) (increase(tasks_total{state="failure"}[30m]))'
    finished = "sum by (task) (increase(tasks_total[30m]))"
    return Group(
        name="tasks",
        rules=[
            Alert(
                name="TaskQueueWaitHigh",
                severity="ticket",
                owner="service",
                expr="histogram_quantile(0.95, sum by (task, le) (rate(task_queue_wait_seconds_bucket[15m])))"
                f" > {limits.task_wait_s:g}",
                for_="10m",
                summary="{{ $labels.task }} waits long in the queue",
                description=(
                    "One task in twenty waited at least {{ $value | humanizeDuration }} for a worker over [15m]; "
                    f"the limit is {limits.task_wait_s:g} s."
                ),
                dashboard=BOARD,
                drill="worker-frozen",
            ),
            Alert(
                name="TasksFailing",
                severity="ticket",
                owner="service",
                expr=f"{failed} / ({finished} > 0) > {limits.task_failure_ratio:g}\nand {finished} >= {MIN_TASKS}",
                for_="5m",
                summary="{{ $labels.task }} fails",
                description=(
                    "{{ $value | humanizePercentage }} of the tasks ended in an error over [30m], retries included; "
                    f"the limit is {limits.task_failure_ratio:.0%}."
                ),
                dashboard=BOARD,
                drill="tasks-failing",
            ),
            Alert(
                name="WorkersMissing",
                severity="ticket",
                owner="platform",
                expr=f'{published} > 0\nunless on () (count(up{{job="worker"}} == 1) > 0)',
                for_="2m",
                summary="{{ $labels.task }} is asked for and no worker runs",
                description='{{ $value | printf "%.0f" }} tasks were sent over [15m] and none of the workers answers.',
                dashboard=BOARD,
                drill="worker-killed",
            ),
            Alert(
                name="TasksStuck",
                severity="ticket",
                owner="service",
                expr=f"{published} > 0\nunless on (task) sum by (task) ({growth('tasks_total', '', '15m')}) > 0",
                for_="15m",
                summary="{{ $labels.task }} is asked for and none finishes",
                description='{{ $value | printf "%.0f" }} tasks were sent over [15m] and none came to an end.',
                dashboard=BOARD,
                drill="worker-wrong-broker",
            ),
        ],
    )
