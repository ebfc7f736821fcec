"""One call instruments Celery workers.

What has threads or an identity starts in the process that runs tasks: in each child of a prefork worker, or in the
worker itself. The main process of a prefork worker serves metrics too: only there tasks are revoked, time out, or are
lost with their process.
"""

import os
import sys
from collections.abc import Sequence
from typing import Any, Final
from weakref import WeakKeyDictionary

from celery import Celery, Task, signals
from celery.concurrency.prefork import TaskPool as PreforkPool
from celery.exceptions import Reject
from celery.worker.consumer import Consumer
from opentelemetry.sdk.trace import SpanProcessor
from prometheus_client import CollectorRegistry

from observability.celery.metrics import TaskMetrics
from observability.celery.tracing import instrument_celery
from observability.core.internal_errors import suppress_internal_errors
from observability.core.settings import TelemetrySettings
from observability.saturation.runtime import RuntimeMetrics
from observability.telemetry import NO_ENGINES, Engines, ProcessTelemetry


class WorkerTelemetry(ProcessTelemetry):
    def __init__(
        self,
        app: Celery,
        *,
        registry: CollectorRegistry,
        settings: TelemetrySettings,
        engines: Engines,
        span_processors: Sequence[SpanProcessor] = (),
    ) -> None:
        super().__init__(
            registry=registry,
            settings=settings.model_copy(update={"access_log": False}),  # a worker has no requests
            title=app.main or "celery",
            saturation=RuntimeMetrics(registry),
            span_processors=span_processors,
            log_stream=sys.__stderr__,  # Celery redirects `sys.stderr` to the log
        )
        TaskMetrics(registry).attach(app)
        if engines:
            self.watch_engines(engines)


class _Worker:
    """The arguments of `instrument_worker()`, and the telemetry of this process."""

    def __init__(self, app: Celery, **options: Any) -> None:
        self._app = app
        self._options = options
        self._telemetry: WorkerTelemetry | None = None
        self._pid = 0

    def start(self, *, traces: bool = True, port_offset: int = 0) -> None:
        """Start this process's telemetry; `port_offset` leaves metrics ports free for the children."""
        if self._telemetry is not None and self._pid != os.getpid():
            self._telemetry.discard_after_fork()
            self._telemetry = None
            self._options["registry"] = CollectorRegistry()  # a lock of the parent's may be held for ever in this copy
        if self._telemetry is None:
            self._telemetry = WorkerTelemetry(self._app, **self._options | {"settings": self._settings(port_offset)})
            self._pid = os.getpid()
        self._telemetry.start(traces=traces)

    def _settings(self, port_offset: int) -> TelemetrySettings:
        settings: TelemetrySettings = self._options["settings"]
        port = settings.metrics_port
        return settings.model_copy(update={"metrics_port": min(port + port_offset, 65535)}) if port else settings

    def report(self, task: "Task[Any, Any]", task_id: str, error: BaseException) -> None:
        """Report a task's exception, unless the task declares it in `throws`."""
        if self._telemetry is not None and not isinstance(error, (Reject, *task.throws)):
            tags = {"task": task.name, "task_id": task_id}
            self._telemetry.errors.report(error, transaction=task.name, tags=tags)

    def stop(self) -> None:
        """Stop this process's telemetry, not that of its parent."""
        if self._telemetry is not None and self._pid == os.getpid():
            self._telemetry.stop()


_workers: Final[WeakKeyDictionary[Celery, _Worker]] = WeakKeyDictionary()


def instrument_worker(
    app: Celery,
    *,
    engines: Engines = NO_ENGINES,
    registry: CollectorRegistry | None = None,
    settings: TelemetrySettings | None = None,
    span_processors: Sequence[SpanProcessor] = (),
) -> None:
    """Instrument the workers of a Celery application; call it in the module that creates the application.

    In other processes it only propagates the trace context and the time of published tasks. Arguments are those of
    `instrument()`; each forked child has a registry of its own.
    """
    instrument_celery()
    _workers[app] = _Worker(
        app,
        engines=engines,
        registry=registry or CollectorRegistry(),
        settings=settings or TelemetrySettings.from_environ(),
        span_processors=span_processors,
    )
    for signal, receiver in (
        (signals.worker_process_init, _on_process_init),
        (signals.worker_process_shutdown, _on_shutdown),
        (signals.worker_ready, _on_worker_ready),
        (signals.worker_shutdown, _on_shutdown),
        (signals.task_failure, _on_task_failure),
    ):
        signal.connect(receiver, weak=False, dispatch_uid=f"observability.{receiver.__name__}")


def _on_process_init(**_: Any) -> None:
    for worker in list(_workers.values()):
        with suppress_internal_errors("worker"):
            worker.start()


def _on_worker_ready(sender: Consumer, **_: Any) -> None:
    forks = isinstance(sender.pool, PreforkPool)
    # The first ports, which Prometheus is configured for, are those of the children, which may be ready later.
    children = int(sender.pool.limit) if forks else 0
    for app, worker in list(_workers.items()):
        if app is sender.app:
            with suppress_internal_errors("worker"):
                worker.start(traces=not forks, port_offset=children)


def _on_shutdown(**_: Any) -> None:
    for worker in list(_workers.values()):
        with suppress_internal_errors("worker"):
            worker.stop()


def _on_task_failure(sender: "Task[Any, Any]", task_id: str, exception: BaseException | None = None, **_: Any) -> None:
    worker = _workers.get(sender.app)
    if worker is not None and exception is not None:
        with suppress_internal_errors("worker"):
            worker.report(sender, task_id, exception)
