"""The telemetry of one process: a web application or a Celery worker."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TextIO

from opentelemetry.metrics import set_meter_provider
from opentelemetry.sdk.trace import SpanProcessor
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.types import ASGIApp

from observability.core.extras import requires
from observability.core.internal_errors import register_internal_errors, suppress_internal_errors
from observability.core.labels import OTHER
from observability.core.limits import Deadline
from observability.core.resource import build_resource
from observability.core.semconv import prefer_stable_conventions
from observability.core.settings import TelemetrySettings
from observability.errors.reporter import ErrorReporter
from observability.export.counts import ExportCounts
from observability.faults.endpoint import Faults
from observability.http.custom_metrics import CustomMetrics, InstrumentationFunction
from observability.http.metrics import HttpMetrics
from observability.http.middleware import InstrumentationMiddleware, Observer, Signals
from observability.http.official import RequestsInProgress, instrument_officially
from observability.http.optional_cycle import CycleWithOptions
from observability.http.request_cycle import RequestCycle
from observability.http.websocket import ObservedWebSockets, WebSocketMetrics
from observability.logs.logs import LoggingSetup
from observability.metrics.server import MetricsServer
from observability.request.custom_labels import CustomLabels, LabelDeclarations
from observability.request.record import METHODS, RequestRecord
from observability.request.route_table import RouteTable
from observability.saturation.saturation import Saturation
from observability.tracing.http_options import NO_OPTIONS, HttpOptions, SpanOptions, with_environment
from observability.tracing.optional_tracing import OfficialTracing, TracingWithOptions
from observability.tracing.tracing import Tracing
from observability.whatif.whatif import WhatIf

if TYPE_CHECKING:
    import asyncpg
    from opentelemetry.sdk.metrics import MeterProvider
    from sqlalchemy import Engine
    from sqlalchemy.ext.asyncio import AsyncEngine

    from observability.clients.httpx import Client
    from observability.database.engines import EngineMetrics
    from observability.database.queries import QueryMetrics

logger: Final = logging.getLogger("observability")

Engines = Mapping[str, "Engine | AsyncEngine"] | Literal["auto"]
"""Engines by role, or all of the process under the names of their databases."""

NO_ENGINES: Final[Engines] = MappingProxyType({})
NO_LABELS: Final[LabelDeclarations] = MappingProxyType({})


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
        self.tracing = self._make_tracing(settings=settings, counts=counts, processors=span_processors)
        self.errors = ErrorReporter(settings=settings, counts=counts)
        self.logs = LoggingSetup(settings=settings, counts=counts, stream=log_stream)
        self._server = self._make_server()
        self._engines: EngineMetrics | None = None
        self._queries: QueryMetrics | None = None
        self._watches_all_engines = False

    def _make_tracing(self, **arguments: Any) -> Tracing:
        return Tracing(**arguments)

    def _make_server(self) -> MetricsServer:
        return MetricsServer(self.registry, settings=self.settings)

    @property
    def metrics_port(self) -> int | None:
        """The port that serves this process's metrics, or None while none does."""
        return self._server.port

    def watch_engine(self, engine: "Engine | AsyncEngine", role: str = "primary") -> None:
        """Observe the pool and the statements of an engine, at any time: in a lifespan, or in a dependency.

        The metrics of several engines of one role are added up. Raise `AlreadyAttached` if it has another role.
        """
        self.engine_metrics().watch(role, engine)

    def watch_engines(self, engines: Engines) -> None:
        """Observe the engines, by role; with `auto` all of the process, from each one's first connection on."""
        if engines == "auto":
            self._watches_all_engines = True
            self.engine_metrics()
            if self._is_running:
                self.engine_metrics().watch_all()
        else:
            for role, engine in engines.items():
                self.watch_engine(engine, role)

    def engine_metrics(self) -> "EngineMetrics":
        """Return the metrics of this process's engines; they are registered the first time."""
        if self._engines is None:
            with requires("sqlalchemy", needed_for="observing engines"):
                from observability.database.engines import EngineMetrics  # noqa: PLC0415 an extra
            self._engines = EngineMetrics(self.registry, queries=self.query_metrics())
        return self._engines

    def query_metrics(self) -> "QueryMetrics":
        """Return the metrics of this process's statements; they are registered the first time."""
        if self._queries is None:
            from observability.database.queries import QueryMetrics  # noqa: PLC0415 not every application has them

            self._queries = QueryMetrics(self.registry, tracer=self.tracing.provider.get_tracer("observability"))
        return self._queries

    def asyncpg_connection(self, role: str = "primary") -> "type[asyncpg.Connection]":
        """Return the `connection_class` for `asyncpg.create_pool()` and `connect()` whose statements are observed."""
        from observability.database.asyncpg import observed_connection  # noqa: PLC0415 a package of the caller

        return observed_connection(role, self.query_metrics().observe)

    def serve_meters(self) -> "MeterProvider":
        """Serve what instruments of OpenTelemetry's Meter API measure on the metrics port too.

        Return their provider, which is the global one from now on, unless the application has set one.
        """
        with requires("meters", needed_for="serve_meters()"):
            from observability.metrics.meters import meter_provider  # noqa: PLC0415 an extra

        provider = meter_provider(self.registry, build_resource(self.settings, title=self._title))
        set_meter_provider(provider)
        return provider

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
        if self._watches_all_engines:
            with suppress_internal_errors("engines"):
                self.engine_metrics().watch_all()
        self._saturation.start()
        if self.settings.metrics_exporter == "prometheus":
            with suppress_internal_errors("metrics_server"):
                self._server.stop()  # a request before the start of the lifespan has it serve already
                self._server.start(resource)

    def stop(self) -> None:
        """Export what is queued, all within the shutdown timeout, and stop serving metrics."""
        self._is_running = False
        deadline = Deadline(self.settings.shutdown_timeout_s)
        if self._engines is not None:
            self._engines.stop_watching_all()
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


class Telemetry(ProcessTelemetry):
    """What `instrument()` set up for one application; it runs while the application's lifespan does.

    Where no lifespan runs, because the server has none or the application is mounted in another one, call `start()` and
    `stop()` yourself.
    """

    def __init__(  # noqa: PLR0913 the parts of an application that `instrument()` was given
        self,
        *,
        registry: CollectorRegistry,
        settings: TelemetrySettings,
        title: str = "",
        span_processors: Sequence[SpanProcessor] = (),
        labels: LabelDeclarations = NO_LABELS,
        functions: Sequence[InstrumentationFunction | None] = (),
        http_options: HttpOptions = NO_OPTIONS,
    ) -> None:
        self.saturation = Saturation(registry)
        self._faults = Faults(lambda: self._engines.engines() if self._engines else ()) if settings.faults else None
        self._functions = functions
        self._http_options = with_environment(http_options, settings)
        self._is_official = settings.http == "official"
        self._span_options = None if self._is_official else SpanOptions.of(self._http_options)
        super().__init__(
            registry=registry,
            settings=settings,
            title=title,
            saturation=self.saturation,
            span_processors=span_processors,
        )
        self.http: HttpMetrics | RequestsInProgress = (
            RequestsInProgress(registry)
            if self._is_official
            else HttpMetrics(
                registry,
                bounds_s=settings.bounds_s,
                labels=CustomLabels(labels) if labels else None,
                with_semconv_names=settings.semconv_metrics,
                yields=bool(functions),
            )
        )
        self.websockets = WebSocketMetrics(registry)
        self.whatif = WhatIf(registry, explains=settings.whatif_explain) if settings.whatif else None
        self._observers: list[tuple[str, Observer]] = []

    def _make_tracing(self, **arguments: Any) -> Tracing:
        if self._is_official:
            return OfficialTracing(**arguments)
        options = self._span_options
        return Tracing(**arguments) if options is None else TracingWithOptions(options, **arguments)

    def _make_server(self) -> MetricsServer:
        around = self._faults.around if self._faults is not None else None
        return MetricsServer(self.registry, settings=self.settings, around=around)

    def engine_metrics(self) -> "EngineMetrics":
        """Return the metrics of this process's engines; the first time, also observe them for what-if metrics."""
        watched = self._engines is not None
        metrics = super().engine_metrics()
        if not watched and self.whatif is not None:
            metrics.also_watches(self.whatif.watch_engine)
        return metrics

    def query_metrics(self) -> "QueryMetrics":
        """Return the metrics of this process's statements; the first time, start to count those of requests."""
        counted = self._queries is not None
        metrics = super().query_metrics()
        if not counted:
            self._observers.insert(0, ("queries", _query_observer(metrics)))  # the middleware may exist already
        return metrics

    def instrument_http_clients(self, clients: "Mapping[str, Client]") -> None:
        """Time and trace the calls of httpx clients, by name."""
        with requires("httpx", needed_for="instrument(http_clients=...)"):
            from observability.clients.httpx import HttpClientMetrics  # noqa: PLC0415 an extra

        metrics = HttpClientMetrics(self.registry, tracer_provider=self.tracing.provider)
        for name, client in clients.items():
            metrics.attach(name, client)

    def instrument_redis(self, clients: Iterable[Any]) -> None:
        """Trace the commands of redis-py clients, without their arguments."""
        clients = tuple(clients)
        if not clients:
            return
        with requires("redis", needed_for="instrument(redis=...)"):
            from opentelemetry.instrumentation.redis import RedisInstrumentor  # noqa: PLC0415 an extra

        for client in clients:
            RedisInstrumentor.instrument_client(client, tracer_provider=self.tracing.provider)
            if self.whatif is not None:
                with suppress_internal_errors("whatif"):
                    self.whatif.watch_redis(client)

    def start(self, *, traces: bool = True) -> None:
        """Start exporting and serving metrics, and the trials of the what-if metrics."""
        if self.whatif is not None and not self._is_running:
            with suppress_internal_errors("whatif"):
                self.whatif.start()
        if self._faults is not None and not self._is_running:
            with suppress_internal_errors("faults"):
                self._faults.start()
        super().start(traces=traces)

    def stop(self) -> None:
        """Export what is queued, all within the shutdown timeout, and stop serving metrics."""
        if self.whatif is not None:
            with suppress_internal_errors("whatif"):
                self.whatif.stop()
        if self._faults is not None:
            with suppress_internal_errors("faults"):
                self._faults.stop()
        super().stop()

    def instrument_officially(self, app: Starlette) -> None:
        """Let the official libraries instrument the application if they are to do the work for HTTP."""
        if isinstance(self.tracing, OfficialTracing):
            instrument_officially(
                app,
                registry=self.registry,
                tracing=self.tracing,
                options=self._http_options,
                functions=self._functions,
                bounds_s=self.settings.bounds_s,
            )

    def middleware(self, app: Starlette, inner: ASGIApp) -> ASGIApp:
        routes = RouteTable(app)
        with suppress_internal_errors("routes"):
            routes.read()
        observers = self._observers = []
        if self._queries is not None:
            observers.append(("queries", _query_observer(self._queries)))
        if self.logs.access is not None:
            observers.append(("access_log", self.logs.access.observe))
        served: ASGIApp = inner
        if self.whatif is not None:
            observers.append(("whatif", self.whatif.observe))
            served = self.whatif.middleware(inner)
        has_functions = bool(self._functions) and not self._is_official
        if has_functions:
            observers.append(("custom_metrics", CustomMetrics(self._functions).observe))
        sampled_observers: list[tuple[str, Observer]] = [
            ("background", self.http.observe_error),
            ("traces", self.tracing.finish),
            ("logs", self.logs.observe),
        ]
        if self.errors.enabled:
            sampled_observers.append(("errors", self.errors.observe))
        return InstrumentationMiddleware(
            served,
            websockets=ObservedWebSockets(
                inner, routes=routes, metrics=self.websockets, tracing=self.tracing, errors=self.errors
            ),
            routes=routes,
            signals=Signals(
                tracing=self.tracing,
                metrics=self.http,
                observers=observers,
                sampled_observers=sampled_observers,
                response_headers=frozenset(name.encode() for name in self.settings.response_headers),
            ),
            on_first_request=self._serve_metrics_without_lifespan,
            cycle=partial(CycleWithOptions, options=self._span_options)
            if has_functions or self._span_options is not None
            else RequestCycle,
        )

    def _serve_metrics_without_lifespan(self) -> None:
        """Serve metrics where the server runs no lifespan; what has to end in order is started by `start()` only."""
        if self._is_running or {self.settings.metrics_exporter, self.settings.traces_exporter} == {"none"}:
            return
        if self.settings.metrics_exporter == "prometheus":
            self._server.start(build_resource(self.settings, title=self._title))
        logger.warning(
            "telemetry was not started: nothing is exported and saturation is not measured, because no lifespan "
            "runs for this application; call start() and stop() of what instrument() returned"
        )


def _query_observer(queries: "QueryMetrics") -> Observer:
    def observe(record: RequestRecord, *, handler: str, **_: object) -> None:
        method = record.scope["method"]
        queries.observe_request(record, method=method if method in METHODS else OTHER, handler=handler)

    return observe
