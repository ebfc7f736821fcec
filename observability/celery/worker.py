"""One call makes Celery workers observable.

The parts that have threads or identities start in the process that runs tasks: after the fork in each child of a
prefork worker, at the start of a worker that runs tasks in its own process. The main process of a prefork worker shows
metrics too: only there tasks are revoked, time out, or are lost with their process.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final
from weakref import WeakKeyDictionary

from celery import Celery, Task, signals
from celery.concurrency.prefork import TaskPool as PreforkPool
from celery.exceptions import Reject
from celery.worker.consumer import Consumer
from opentelemetry.sdk.trace import SpanProcessor
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine

from observability.celery.metrics import TaskMetrics
from observability.celery.tracing import instrument_celery
from observability.core.internal_errors import register_internal_errors, suppress_internal_errors
from observability.core.limits import Deadline
from observability.core.resource import build_resource
from observability.core.settings import TelemetrySettings
from observability.database.pool import PoolMetrics
from observability.database.queries import QueryMetrics
from observability.errors.reporter import ErrorReporter
from observability.export.counts import ExportCounts
from observability.logs.logs import LoggingSetup
from observability.metrics.server import MetricsServer
from observability.saturation.runtime import RuntimeMetrics
from observability.tracing.tracing import Tracing

Engines = Mapping[str, Engine | AsyncEngine]
NO_ENGINES: Final[Engines] = MappingProxyType({})


class WorkerTelemetry:
    """The telemetry of one process of a worker."""

    def __init__(
        self,
        app: Celery,
        *,
        registry: CollectorRegistry,
        settings: TelemetrySettings,
        engines: Engines,
        span_processors: Sequence[SpanProcessor] = (),
    ) -> None:
        self.registry = registry
        self._settings = settings
        self._title = app.main or "celery"
        register_internal_errors(registry)
        self._runtime = RuntimeMetrics(registry)
        counts = ExportCounts(registry)
        self._tracing = Tracing(settings=settings, counts=counts, processors=span_processors)
        self.errors = ErrorReporter(settings=settings, counts=counts)
        # Celery lets `sys.stderr` write to the log; a worker has no requests for an access log.
        quiet = settings.model_copy(update={"access_log": False})
        self._logs = LoggingSetup(settings=quiet, counts=counts, stream=sys.__stderr__)
        TaskMetrics(registry).attach(app)
        if engines:
            pools, queries = PoolMetrics(registry), QueryMetrics(registry, tracer=self._tracing.provider.get_tracer(""))
            for role, engine in engines.items():
                pools.attach(role, engine)
                queries.attach(role, engine)
        self._server = MetricsServer(registry, settings=settings)

    def start(self, *, traces: bool = True) -> None:
        """Begin to export and to serve metrics."""
        self._runtime.start()
        resource = build_resource(self._settings, title=self._title)
        with suppress_internal_errors("logs_start"):
            self._logs.start(resource)
        if traces:
            with suppress_internal_errors("traces_start"):
                self._tracing.start(resource)
        with suppress_internal_errors("errors_start"):
            self.errors.start(resource)
        if self._settings.metrics_exporter == "prometheus":
            with suppress_internal_errors("metrics_server"):
                self._server.start(resource)

    def stop(self) -> None:
        """Export what is left, within the shutdown timeout for all of it, and stop serving metrics."""
        deadline = Deadline(self._settings.shutdown_timeout_s)
        self._runtime.stop()
        with suppress_internal_errors("errors_stop"):
            self.errors.stop(timeout_s=deadline.remaining_s)
        with suppress_internal_errors("traces_stop"):
            self._tracing.stop(timeout_s=deadline.remaining_s)
        with suppress_internal_errors("metrics_server"):
            self._server.stop()
        with suppress_internal_errors("logs_stop"):
            self._logs.stop(timeout_s=deadline.remaining_s)

    def discard_after_fork(self) -> None:
        """Let go of what a forked child inherited from its parent."""
        self._runtime.stop()
        self._server.discard_after_fork()
        self._logs.stop(timeout_s=self._settings.shutdown_timeout_s)


class _Worker:
    """What `instrument_worker()` was given, and the telemetry of this process."""

    def __init__(self, app: Celery, **options: Any) -> None:
        self._app = app
        self._options = options
        self._telemetry: WorkerTelemetry | None = None
        self._made_by = 0
        self._runs = False

    def start(self, *, traces: bool = True, ports_left: int = 0) -> None:
        """Start this process's telemetry, unless it runs; `ports_left` are free for others before its own."""
        if self._telemetry is not None and self._made_by != os.getpid():
            self._telemetry.discard_after_fork()
            self._telemetry = None
            self._options["registry"] = CollectorRegistry()  # the copy of the parent's may be locked for ever
            self._runs = False
        if self._telemetry is None:
            self._telemetry = WorkerTelemetry(self._app, **self._options | {"settings": self._settings(ports_left)})
            self._made_by = os.getpid()
        if not self._runs:
            self._runs = True
            self._telemetry.start(traces=traces)

    def _settings(self, ports_left: int) -> TelemetrySettings:
        settings: TelemetrySettings = self._options["settings"]
        port = settings.metrics_port
        return settings.model_copy(update={"metrics_port": min(port + ports_left, 65535)}) if port else settings

    def failed(self, task: "Task[Any, Any]", task_id: str, error: BaseException) -> None:
        """Report a task's exception, unless the task is meant to raise it."""
        if self._telemetry is not None and not isinstance(error, (Reject, *task.throws)):
            tags = {"task": task.name, "task_id": task_id}
            self._telemetry.errors.report(error, transaction=task.name, tags=tags)

    def stop(self) -> None:
        """Stop this process's telemetry, if it runs."""
        if self._telemetry is not None and self._runs and self._made_by == os.getpid():
            self._runs = False
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
    """Make the workers of a Celery application observable; call it in the module that makes the application.

    In processes that are no worker it does nothing but let published tasks carry their trace and their time. Arguments
    are those of `instrument()`; each forked child has a registry of its own.
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
        (signals.worker_process_init, _process_begins),
        (signals.worker_process_shutdown, _process_ends),
        (signals.worker_ready, _worker_ready),
        (signals.worker_shutdown, _process_ends),
        (signals.task_failure, _task_failed),
    ):
        signal.connect(receiver, weak=False, dispatch_uid=f"observability.{receiver.__name__}")


def _process_begins(**_: Any) -> None:
    for worker in list(_workers.values()):
        with suppress_internal_errors("worker"):
            worker.start()


def _worker_ready(sender: Consumer, **_: Any) -> None:
    forks = isinstance(sender.pool, PreforkPool)
    # The children do the work, and may be ready later: the ports that Prometheus is told are theirs.
    children = int(sender.pool.limit) if forks else 0
    for app, worker in list(_workers.items()):
        if app is sender.app:
            with suppress_internal_errors("worker"):
                worker.start(traces=not forks, ports_left=children)


def _process_ends(**_: Any) -> None:
    for worker in list(_workers.values()):
        with suppress_internal_errors("worker"):
            worker.stop()


def _task_failed(sender: "Task[Any, Any]", task_id: str, exception: BaseException | None = None, **_: Any) -> None:
    worker = _workers.get(sender.app)
    if worker is not None and exception is not None:
        with suppress_internal_errors("worker"):
            worker.failed(sender, task_id, exception)
