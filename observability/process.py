"""The telemetry of one process, whatever it runs: traces, logs, error reports and the metrics server."""

from collections.abc import Mapping, Sequence
from typing import Protocol, TextIO

from opentelemetry.sdk.trace import SpanProcessor
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine

from observability.core.internal_errors import register_internal_errors, suppress_internal_errors
from observability.core.limits import Deadline
from observability.core.resource import build_resource
from observability.core.semconv import prefer_stable_conventions
from observability.core.settings import TelemetrySettings
from observability.database.pool import PoolMetrics
from observability.database.queries import QueryMetrics
from observability.errors.reporter import ErrorReporter
from observability.export.counts import ExportCounts
from observability.logs.logs import LoggingSetup
from observability.metrics.server import MetricsServer
from observability.tracing.tracing import Tracing

Engines = Mapping[str, Engine | AsyncEngine]


class _Saturation(Protocol):
    def start(self) -> None: ...
    def stop(self) -> None: ...


class ProcessTelemetry:
    """What a web process and a Celery worker have in common; `start()` and `stop()` may be called more than once."""

    def __init__(
        self,
        *,
        registry: CollectorRegistry,
        settings: TelemetrySettings,
        title: str,
        saturation: _Saturation,
        span_processors: Sequence[SpanProcessor] = (),
        log_stream: TextIO | None = None,
    ) -> None:
        prefer_stable_conventions()
        self.registry = registry
        self.settings = settings
        self._title = title
        self._saturation = saturation
        self._is_running = False
        register_internal_errors(registry)
        counts = ExportCounts(registry)
        self.tracing = Tracing(settings=settings, counts=counts, processors=span_processors)
        self.errors = ErrorReporter(settings=settings, counts=counts)
        self.logs = LoggingSetup(settings=settings, counts=counts, stream=log_stream)
        self._server = MetricsServer(registry, settings=settings)

    @property
    def metrics_port(self) -> int | None:
        """The port that serves this process's metrics, or None while none does."""
        return self._server.port

    def instrument_engines(self, engines: Engines) -> QueryMetrics:
        """Observe the pools and statements of the engines, by role."""
        pools = PoolMetrics(self.registry)
        queries = QueryMetrics(self.registry, tracer=self.tracing.provider.get_tracer("observability"))
        for role, engine in engines.items():
            pools.attach(role, engine)
            queries.attach(role, engine)
        return queries

    def start(self, *, traces: bool = True) -> None:
        """Start exporting and serving metrics, in each process after its fork, where its event loop runs."""
        if self._is_running:
            return
        self._is_running = True
        resource = build_resource(self.settings, title=self._title)
        with suppress_internal_errors("logs_start"):
            self.logs.start(resource)
        if traces:
            with suppress_internal_errors("traces_start"):
                self.tracing.start(resource)
        with suppress_internal_errors("errors_start"):
            self.errors.start(resource)
        self._saturation.start()
        if self.settings.metrics_exporter == "prometheus":
            with suppress_internal_errors("metrics_server"):
                self._server.start(resource)

    def stop(self) -> None:
        """Export what is queued, all within the shutdown timeout, and stop serving metrics."""
        self._is_running = False
        deadline = Deadline(self.settings.shutdown_timeout_s)
        self._saturation.stop()
        with suppress_internal_errors("errors_stop"):
            self.errors.stop(timeout_s=deadline.remaining_s)
        with suppress_internal_errors("traces_stop"):
            self.tracing.stop(timeout_s=deadline.remaining_s)
        with suppress_internal_errors("metrics_server"):
            self._server.stop()
        with suppress_internal_errors("logs_stop"):
            self.logs.stop(timeout_s=deadline.remaining_s)

    def discard_after_fork(self) -> None:
        """Release what a forked child inherited from its parent; only the parent has the threads."""
        self._saturation.stop()
        self._server.discard_after_fork()
        self.logs.stop(timeout_s=self.settings.shutdown_timeout_s)
