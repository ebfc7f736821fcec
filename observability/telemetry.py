"""The telemetry of one web application."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.instrumentation.redis import RedisInstrumentor
from opentelemetry.sdk.trace import SpanProcessor
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.types import ASGIApp

from observability.clients.httpx import Client, HttpClientMetrics
from observability.core.internal_errors import suppress_internal_errors
from observability.core.labels import OTHER
from observability.core.settings import TelemetrySettings
from observability.database.queries import QueryMetrics
from observability.http.metrics import HttpMetrics
from observability.http.middleware import InstrumentationMiddleware, Observer, Signals
from observability.http.websocket import ObservedWebSockets, WebSocketMetrics
from observability.process import Engines, ProcessTelemetry
from observability.request.record import METHODS, RequestRecord
from observability.request.route_table import RouteTable
from observability.saturation.saturation import Saturation

if TYPE_CHECKING:
    from celery import Celery

logger: Final = logging.getLogger("observability")


class Telemetry(ProcessTelemetry):
    """What `instrument()` set up for one application; it runs while the application's lifespan does.

    Where no lifespan runs, because the server has none or the application is mounted in another one, call `start()` and
    `stop()` yourself.
    """

    def __init__(
        self,
        *,
        registry: CollectorRegistry,
        settings: TelemetrySettings,
        title: str = "",
        span_processors: Sequence[SpanProcessor] = (),
    ) -> None:
        self.saturation = Saturation(registry)
        super().__init__(
            registry=registry,
            settings=settings,
            title=title,
            saturation=self.saturation,
            span_processors=span_processors,
        )
        self.http = HttpMetrics(registry, bounds_s=settings.bounds_s)
        self.websockets = WebSocketMetrics(registry)
        self._queries: QueryMetrics | None = None

    def instrument_engines(self, engines: Engines) -> QueryMetrics:
        """Observe the pools and statements of the engines, by role, and count the statements of each request."""
        self._queries = super().instrument_engines(engines)
        return self._queries

    def instrument_http_clients(self, clients: Mapping[str, Client]) -> None:
        metrics = HttpClientMetrics(self.registry, tracer_provider=self.tracing.provider)
        for name, client in clients.items():
            metrics.attach(name, client)

    def instrument_redis(self, clients: Iterable[Any]) -> None:
        """Trace the commands of redis-py clients, without their arguments."""
        for client in clients:
            RedisInstrumentor.instrument_client(client, tracer_provider=self.tracing.provider)

    def instrument_tasks(self, app: "Celery") -> None:
        """Count the tasks that this process publishes, and propagate trace context and publishing time."""
        from observability.celery.metrics import TaskMetrics  # noqa: PLC0415 Celery is slow to import
        from observability.celery.tracing import instrument_celery  # noqa: PLC0415 the same

        TaskMetrics(self.registry).attach(app)
        instrument_celery()

    def middleware(self, app: Starlette, inner: ASGIApp) -> ASGIApp:
        routes = RouteTable(app)
        with suppress_internal_errors("routes"):
            routes.read()
        observers: list[tuple[str, Observer]] = []
        if self._queries is not None:
            observers.append(("queries", _query_observer(self._queries)))
        if self.logs.access is not None:
            observers.append(("access_log", self.logs.access.observe))
        sampled_observers: list[tuple[str, Observer]] = [
            ("background", self.http.observe_error),
            ("traces", self.tracing.finish),
            ("logs", self.logs.observe),
        ]
        if self.errors.enabled:
            sampled_observers.append(("errors", self.errors.observe))
        return InstrumentationMiddleware(
            inner,
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
            on_first_request=self._warn_if_not_started,
        )

    def _warn_if_not_started(self) -> None:
        wanted = {self.settings.metrics_exporter, self.settings.traces_exporter}
        if not self._is_running and wanted != {"none"}:
            logger.warning(
                "telemetry was not started, so that no metrics are served and nothing is exported: no lifespan runs "
                "for this application; call start() and stop() of what instrument() returned"
            )


def _query_observer(queries: QueryMetrics) -> Observer:
    def observe(record: RequestRecord, *, handler: str, **_: object) -> None:
        method = record.scope["method"]
        queries.observe_request(record, method=method if method in METHODS else OTHER, handler=handler)

    return observe
