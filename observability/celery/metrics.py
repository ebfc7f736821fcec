"""Celery tasks: published, queued, executed, and their final states."""

from collections import deque
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from threading import Lock
from time import perf_counter, time
from typing import Any, Final
from weakref import WeakKeyDictionary

from billiard.exceptions import TimeLimitExceeded
from celery import Celery, Task, signals
from celery.exceptions import Reject
from celery.worker.request import Request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from observability.core.internal_errors import suppress_internal_errors
from observability.core.labels import BoundedValues
from observability.metrics.histogram import exemplar

STATES: Final = ("success", "failure", "retry", "revoked", "rejected", "ignored")
"""Final states of an execution; `failure` includes a lost process and an exceeded hard time limit."""

PUBLISHED_AT: Final = "observability_published_at"
"""The message header with the time of publishing, in seconds since the epoch."""

BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)


class TaskMetrics:
    """Count and time tasks, in the processes that publish and that execute them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._task = BoundedValues(limit=200)
        self._state = BoundedValues.closed(STATES)
        self._running: dict[str, tuple[str, float]] = {}
        self._timed_out: deque[str] = deque(maxlen=1000)
        labels = ("task",)
        counter = partial(Counter, registry=registry)
        gauge = partial(Gauge, registry=registry)
        histogram = partial(Histogram, registry=registry)
        self._published = counter("tasks_published_total", "Tasks sent to the broker.", labels)
        self._ended = counter("tasks_total", "Executions of tasks by final state.", (*labels, "state"))
        self._queue_wait = histogram(
            "task_queue_wait_seconds",
            "Time from publishing a task, or from its ETA, until a worker started it.",
            labels,
            buckets=BUCKETS_S,
        )
        self._run_time = histogram("task_run_seconds", "Duration of an execution.", labels, buckets=BUCKETS_S)
        inprogress = gauge("tasks_inprogress", "Tasks that are running.")
        inprogress.set_function(lambda: len(self._running))

    def attach(self, app: Celery) -> None:
        """Count the application's tasks here, instead of in metrics that were attached before."""
        with _attaching:
            _attached[app] = self
            _connect()

    def published(self, task: str) -> None:
        self._published.labels(self._task(task)).inc()

    def started(self, task_id: str, task: str, *, waited_s: float | None) -> None:
        """Record the start of an execution, `waited_s` after publishing."""
        name = self._task(task)
        self._running[task_id] = name, perf_counter()
        if waited_s is not None:
            self._queue_wait.labels(name).observe(waited_s, exemplar())

    def finished(self, task_id: str, state: str) -> None:
        name, started = self._running.pop(task_id, ("", 0.0))
        if name:
            self._run_time.labels(name).observe(perf_counter() - started, exemplar())
            self._ended.labels(name, self._state(state.lower())).inc()

    def failed_in_main_process(self, task_id: str, task: str, *, error: BaseException | None) -> None:
        """Count a failure that only the worker's main process knows: time limit exceeded, process lost.

        It reports a rejected task too, which was counted where it ran, and a time limit twice.
        """
        if task_id in self._running or isinstance(error, Reject):
            return
        if isinstance(error, TimeLimitExceeded):
            if task_id in self._timed_out:
                return
            self._timed_out.append(task_id)
        self._ended.labels(self._task(task), "failure").inc()

    def revoked(self, task: str) -> None:
        self._ended.labels(self._task(task), "revoked").inc()


_attaching: Final = Lock()
_attached: Final[WeakKeyDictionary[Celery, TaskMetrics]] = WeakKeyDictionary()


def queue_wait_s(request: Mapping[str, Any], *, now: float) -> float | None:
    """Return the time since the task was published or due; None if its publisher is not instrumented."""
    published = request.get(PUBLISHED_AT)
    if not isinstance(published, int | float):
        return None
    due = float(published)
    eta = request.get("eta")
    if isinstance(eta, str):
        due = max(due, datetime.fromisoformat(eta).timestamp())
    return max(0.0, now - due)


def _connect() -> None:
    """Connect to Celery's signals, which are global; a second call changes nothing."""
    for signal, receiver in (
        (signals.before_task_publish, _on_publish),
        (signals.task_prerun, _on_start),
        (signals.task_postrun, _on_finish),
        (signals.task_revoked, _on_revoke),
        (signals.task_failure, _on_failure),
    ):
        signal.connect(receiver, weak=False, dispatch_uid=f"observability.{receiver.__name__}")


def _on_publish(sender: str, headers: dict[str, Any], **_: Any) -> None:
    """Add the time to the message. Only the name of the task shows which application it belongs to."""
    with suppress_internal_errors("tasks"):
        headers[PUBLISHED_AT] = time()  # also of a retry, which carries the headers of the first message
        apps = list(_attached)
        app = next((app for app in apps if sender in app.tasks), apps[-1] if apps else None)
        if app is not None:
            _attached[app].published(sender)


def _on_start(task_id: str, task: "Task[Any, Any]", **_: Any) -> None:
    with suppress_internal_errors("tasks"):
        if metrics := _attached.get(task.app):
            metrics.started(task_id, task.name, waited_s=queue_wait_s(vars(task.request), now=time()))


def _on_finish(task_id: str, task: "Task[Any, Any]", state: str | None = None, **_: Any) -> None:
    with suppress_internal_errors("tasks"):
        if metrics := _attached.get(task.app):
            metrics.finished(task_id, state or "failure")


def _on_revoke(sender: "Task[Any, Any]", request: Request, **_: Any) -> None:  # noqa: ARG001 keywords that Celery passes
    with suppress_internal_errors("tasks"):
        if metrics := _attached.get(sender.app):
            metrics.revoked(sender.name)


def _on_failure(sender: "Task[Any, Any]", task_id: str, exception: BaseException | None = None, **_: Any) -> None:
    with suppress_internal_errors("tasks"):
        if metrics := _attached.get(sender.app):
            metrics.failed_in_main_process(task_id, sender.name, error=exception)
