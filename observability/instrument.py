"""One call makes an application observable."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from prometheus_client import CollectorRegistry
from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.applications import Starlette
from starlette.types import ASGIApp

from observability.exposition import MetricsServer
from observability.guard import guarded, register_failures
from observability.http_metrics import HttpMetrics
from observability.middleware import InstrumentationMiddleware
from observability.route import RouteTable
from observability.settings import TelemetrySettings


class InstrumentationError(RuntimeError):
    """`instrument()` was called where it cannot work."""


class Telemetry:
    """What `instrument()` set up: the registry, the settings and, while the application runs, the metrics port."""

    def __init__(self, *, registry: CollectorRegistry, settings: TelemetrySettings) -> None:
        self.registry = registry
        self.settings = settings
        self.http = HttpMetrics(registry, bounds_s=settings.bounds_s)
        self._server = MetricsServer(registry, host=settings.metrics_host, port=settings.metrics_port)

    @property
    def metrics_port(self) -> int | None:
        """The port that serves this process's metrics, or None while none does."""
        return self._server.port

    def start(self) -> None:
        """Serve metrics; the lifespan of the application does this."""
        if self.settings.metrics_exporter == "prometheus":
            with guarded("metrics_server"):
                self._server.start()

    def stop(self) -> None:
        """Stop serving metrics."""
        with guarded("metrics_server"):
            self._server.stop()


def instrument(
    app: Starlette,
    *,
    engines: Mapping[str, Engine | AsyncEngine] = {},  # noqa: ARG001 attached as soon as the pool metrics are in
    registry: CollectorRegistry | None = None,
    settings: TelemetrySettings | None = None,
) -> Telemetry:
    """Instrument a FastAPI or Starlette application; call it once, where the application is put together.

    `engines` maps a role (`primary`, `replica`) to the SQLAlchemy engine that plays it. Without `registry` a new one is
    made; without `settings` they are read from the environment. Raise `InstrumentationError` for an application that is
    instrumented already, or that already runs.
    """
    if getattr(app, "_observability", None) is not None:
        raise InstrumentationError("this application is instrumented already; call instrument() once per application")
    if app.middleware_stack is not None:
        raise InstrumentationError(
            "the application already runs; call instrument() where it is put together, not in its lifespan"
        )
    settings = settings or TelemetrySettings.from_environ()
    telemetry = Telemetry(registry=registry or CollectorRegistry(), settings=settings)
    register_failures(telemetry.registry)
    app._observability = telemetry  # type: ignore[attr-defined]  # noqa: SLF001 the mark that says it is done
    if settings.enabled:
        _wrap_stack(app, telemetry)
    _wrap_lifespan(app, telemetry)
    return telemetry


def _wrap_stack(app: Starlette, telemetry: Telemetry) -> None:
    """Put the middleware outside of everything, also of the 500 response, as OpenTelemetry's instrumentor does."""
    build = app.build_middleware_stack
    routes = RouteTable(app)

    def instrumented() -> ASGIApp:
        return InstrumentationMiddleware(build(), routes=routes, metrics=telemetry.http)

    app.build_middleware_stack = instrumented  # type: ignore[method-assign]


def _wrap_lifespan(app: Starlette, telemetry: Telemetry) -> None:
    """Start and stop telemetry around the application's own lifespan, whatever state that yields."""
    own = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(running: Any) -> AsyncIterator[Any]:
        telemetry.start()
        try:
            async with own(running) as state:
                yield state
        finally:
            telemetry.stop()

    app.router.lifespan_context = lifespan
