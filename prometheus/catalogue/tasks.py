"""Alerts for the task queue: queue wait, failures, missing workers, stuck tasks."""

from prometheus.promql import increase_with_new_series
from prometheus.rule import Alert, Group
from prometheus.slo import Objectives

BOARD = "flightdeck-async"
MIN_TASKS = 3
"""Finished in half an hour."""


def task_alerts(objectives: Objectives) -> Group:
    """Return the alerts; Celery's workers are the targets of the job `worker`."""
    limits = objectives.limits
    completed = f"sum by (task) ({increase_with_new_series('tasks_total', '', '15m')})"
    published = f"sum by (task) ({increase_with_new_series('tasks_published_total', '', '15m')})"
    failures = increase_with_new_series("tasks_total", 'state="failure"', "30m")
    failed = f"sum by (task) ({failures})"
    finished = f"sum by (task) ({increase_with_new_series('tasks_total', '', '30m')})"
    return Group(
        name="tasks",
        rules=[
            Alert(
                name="TaskQueueWaitHigh",
                expr="histogram_quantile(0.95, sum by (task, le) (rate(task_queue_wait_seconds_bucket[15m])))"
                f" > {limits.task_wait_s:g}",
                for_="10m",
                summary="{{ $labels.task }} waits too long in the queue",
                description=(
                    "The p95 wait for a worker was {{ $value | humanizeDuration }} over [15m]; the limit is "
                    f"{limits.task_wait_s:g} s."
                ),
                dashboard=BOARD,
                drill="worker-frozen",
            ),
            Alert(
                name="TasksFailing",
                expr=f"{failed} / ({finished} > 0) > {limits.task_failure_ratio:g}\nand {finished} >= {MIN_TASKS}",
                for_="5m",
                summary="{{ $labels.task }} is failing",
                description=(
                    "{{ $value | humanizePercentage }} of the executions ended in an error over [30m], retries "
                    f"included; the limit is {limits.task_failure_ratio:.0%}."
                ),
                dashboard=BOARD,
                drill="tasks-failing",
            ),
            Alert(
                name="WorkersMissing",
                owner="platform",
                expr=f'{published} > 0\nunless on () (count(up{{job="worker"}} == 1) > 0)',
                for_="2m",
                summary="{{ $labels.task }} is published but no worker is up",
                description='{{ $value | printf "%.0f" }} tasks were published over [15m]; no worker can be scraped.',
                dashboard=BOARD,
                drill="worker-killed",
            ),
            Alert(
                name="TasksStuck",
                expr=f"{published} > 0\nunless on (task) {completed} > 0",
                for_="15m",
                summary="{{ $labels.task }} is published but none completes",
                description='{{ $value | printf "%.0f" }} tasks were published over [15m] and none completed.',
                dashboard=BOARD,
                drill="worker-wrong-broker",
            ),
        ],
    )
