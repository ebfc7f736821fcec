"""The application factory: settings in, application out. Techniques are chosen here and in the factories it calls."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager
from functools import partial
from typing import Any, Final

from fastapi import Depends, FastAPI
from fastapi.telemetry import TelemetryConfig
from prometheus_client import CollectorRegistry

from observability import TelemetrySettings, instrument
from observability.cache.cache import CacheMetrics
from observability.clients.httpx import HttpClientMetrics
from service import __version__
from service.airlines.routes import airlines_router
from service.airports.loading import EagerLoading, LazyLoading
from service.airports.routes import airports_router
from service.api.health import health_router
from service.api.openapi import document_responses
from service.api.parameters import no_repeated_parameters
from service.api.problems import install_problems
from service.api.rate_limit import RateLimiter
from service.api.responses import FullResponses, SparseResponses
from service.api.shutdown import ShutdownState
from service.cache.factory import create_cache, create_invalidators
from service.core.task_set import run_in_background
from service.database import Database
from service.exports.factory import exports_for
from service.exports.routes import exports_router
from service.flights.events import events_router
from service.flights.factory import columns_for, pages_for, subscribers_for, writes_for
from service.flights.routes import flights_router
from service.flights.subscribers import LocalSubscribers
from service.itineraries.offload import cpu_work
from service.itineraries.routes import itineraries_router
from service.landing.routes import landing_router
from service.middleware import middleware_stack
from service.reports.routes import reports_router
from service.settings import Settings
from service.weather.factory import weather_source
from service.weather.routes import weather_router

# `observability` records the same signals at a lower cost.
NO_NATIVE_TELEMETRY: Final[TelemetryConfig] = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}


def create_app(
    settings: Settings, *, registry: CollectorRegistry | None = None, telemetry: TelemetrySettings | None = None
) -> FastAPI:
    """Return the service with the techniques that the settings enable; it connects to nothing before it starts.

    Without `registry` it creates one; without `telemetry` it reads those settings from the environment.
    """
    registry = registry or CollectorRegistry()
    database = Database(settings, registry=registry)
    cache_metrics = CacheMetrics(registry)
    cache = create_cache(settings, meter=cache_metrics)
    invalidators = create_invalidators(settings, cache, meter=cache_metrics)
    local_subscribers = LocalSubscribers()
    subscribers = subscribers_for(settings, local_subscribers)
    limiter = RateLimiter(settings.redis_url, registry=registry)
    shutdown = ShutdownState()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        parts: list[AbstractAsyncContextManager[Any]] = [
            database,
            aclosing(limiter),
            aclosing(weather),
            invalidators,
            subscribers.listening(),
            run_in_background(partial(maintenance.run, every_s=settings.export_lease_s / 3)),
            run_in_background(writes.relay.run),
        ]
        async with AsyncExitStack() as running:
            running.enter_context(shutdown.ending(local_subscribers.close))
            for part in parts:
                await running.enter_async_context(part)
            yield

    app = FastAPI(
        title="Flightdeck",
        summary="Every flight that left New York City in 2013, served with and without each performance technique.",
        version=__version__,
        lifespan=lifespan,
        telemetry=NO_NATIVE_TELEMETRY,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
        dependencies=[Depends(no_repeated_parameters)],
    )
    app.state.shutdown = shutdown
    telemetry = settings.with_arm(telemetry or TelemetrySettings.from_environ())
    instrumented = instrument(app, engines=database.engines, registry=registry, settings=telemetry)
    threads = instrumented.saturation.threads
    app.user_middleware.extend(
        middleware_stack(
            settings, cache=cache, database=database, shutdown=shutdown, registry=registry, threads=threads
        )
    )
    exports, maintenance = exports_for(settings, database, limiter=limiter, registry=registry, threads=threads)
    upstream_calls = HttpClientMetrics(registry, tracer_provider=instrumented.tracing.provider)
    weather = weather_source(settings, registry, instrument=partial(upstream_calls.attach, "weather"))
    responses = SparseResponses() if settings.uses("slim_responses") else FullResponses()
    loading = EagerLoading() if settings.uses("eager_loading") else LazyLoading()
    writes = writes_for(
        settings, database, cache=invalidators, subscribers=subscribers, limiter=limiter, registry=registry
    )
    columns = columns_for(settings)
    work = cpu_work(settings, threads)
    app.include_router(landing_router(settings, metrics_port=lambda: instrumented.metrics_port))
    app.include_router(health_router([shutdown.check, database.check]))
    app.include_router(
        flights_router(database, columns=columns, pages=pages_for(settings), writes=writes, responses=responses)
    )
    app.include_router(events_router(database, local_subscribers))
    app.include_router(airports_router(database, loading=loading, columns=columns, responses=responses))
    app.include_router(airlines_router(database, responses=responses))
    app.include_router(reports_router(database, responses=responses))
    app.include_router(weather_router(weather, responses=responses))
    app.include_router(itineraries_router(database, work=work, responses=responses))
    app.include_router(exports_router(exports))
    install_problems(app)
    document_responses(app, settings)
    return app
