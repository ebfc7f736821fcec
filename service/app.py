"""The composition of the service: settings in, application out. Techniques are chosen here and nowhere else."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from importlib.metadata import version
from typing import Any, Final

from fastapi import Depends, FastAPI
from fastapi.telemetry import TelemetryConfig
from prometheus_client import CollectorRegistry

from observability import TelemetrySettings, instrument
from observability.cache.cache import CacheMetrics
from observability.clients.httpx import HttpClientMetrics
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
from service.cache.factory import cache_for, told_edge, told_others
from service.cache.invalidators import EdgePurger, RedisInvalidator
from service.cache.layered import LayeredCache
from service.database import Database
from service.database.read_your_writes import ReadYourWrites
from service.exports.factory import exports_for
from service.exports.routes import exports_router
from service.flights.events import events_router
from service.flights.factory import columns_for, pages_for, subscribers_for, writes_for
from service.flights.redis_subscribers import RedisSubscribers
from service.flights.routes import flights_router
from service.flights.subscribers import LocalSubscribers
from service.itineraries.offload import cpu_work
from service.itineraries.routes import itineraries_router
from service.landing.routes import landing_router
from service.middleware import add_middleware
from service.reports.routes import reports_router
from service.settings import Settings
from service.weather.factory import weather_source
from service.weather.routes import weather_router

# `observability` records what FastAPI's own telemetry would, and costs less.
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
    """Return the service with the techniques that the settings switch on; nothing connects before it starts.

    Without `registry` a new one is made; without `telemetry` its settings are read from the environment.
    """
    registry = registry or CollectorRegistry()
    database = Database(settings, registry=registry)
    cache_metrics = CacheMetrics(registry)
    cache = cache_for(settings, meter=cache_metrics)
    everywhere = told_others(settings, cache)
    invalidated = told_edge(settings, everywhere, meter=cache_metrics)
    local_subscribers = LocalSubscribers()
    subscribers = subscribers_for(settings, local_subscribers)
    limiter = RateLimiter(settings.redis_url, registry=registry)
    exports, maintenance = exports_for(settings, database, limiter=limiter, registry=registry)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as running:
            running.push_async_callback(database.close)
            await database.start()
            running.push_async_callback(limiter.close)
            running.push_async_callback(weather.aclose)
            await _entered(running, cache, everywhere, invalidated)
            if isinstance(subscribers, RedisSubscribers):
                await running.enter_async_context(subscribers.listening())
            _beside(running, maintenance.run(every_s=settings.export_lease_s / 3))
            _beside(running, writes.relay.run())
            yield

    app = FastAPI(
        title="Flightdeck",
        summary="Every flight that left New York City in 2013, served with and without each performance technique.",
        version=version("flightdeck"),
        lifespan=lifespan,
        telemetry=NO_NATIVE_TELEMETRY,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
        dependencies=[Depends(no_repeated_parameters)],
    )
    telemetry = settings.naming(telemetry or TelemetrySettings.from_environ())
    shutdown = app.state.shutdown = ShutdownState()
    watched = instrument(app, engines=database.engines, registry=registry, settings=telemetry)
    upstream_calls = HttpClientMetrics(registry, tracer_provider=watched.tracing.provider)
    weather = weather_source(settings, registry, instrument=partial(upstream_calls.attach, "weather"))
    responses = SparseResponses() if settings.uses("slim_responses") else FullResponses()
    loading = EagerLoading() if settings.uses("eager_loading") else LazyLoading()
    writes = writes_for(
        settings, database, cache=invalidated, subscribers=subscribers, limiter=limiter, registry=registry
    )
    app.include_router(landing_router(settings, metrics_port=lambda: watched.metrics_port))
    app.include_router(health_router([shutdown.check, database.check]))
    columns = columns_for(settings)
    app.include_router(
        flights_router(database, columns=columns, pages=pages_for(settings), writes=writes, responses=responses)
    )
    app.include_router(events_router(database, local_subscribers))
    app.include_router(airports_router(database, loading=loading, columns=columns, responses=responses))
    app.include_router(airlines_router(database, responses=responses))
    app.include_router(reports_router(database, responses=responses))
    app.include_router(weather_router(weather, responses=responses))
    work = cpu_work(settings, watched.saturation.threads)
    app.include_router(itineraries_router(database, work=work, responses=responses))
    app.include_router(exports_router(exports))
    install_problems(app)
    document_responses(app, settings)
    if "replica" in database.engines:
        app.add_middleware(ReadYourWrites)
    add_middleware(app, settings, cache=cache, shutdown=shutdown, registry=registry)
    return app


def _beside(running: AsyncExitStack, work: Coroutine[Any, Any, None]) -> None:
    """Run work beside the requests until the stack is left."""
    running.push_async_callback(_cancelled, asyncio.create_task(work))


async def _entered(running: AsyncExitStack, *parts: object) -> None:
    """Start what keeps answers and what tells others of writes, each once, until the stack is left."""
    for part in dict.fromkeys(parts):
        if isinstance(part, LayeredCache | RedisInvalidator | EdgePurger):
            await running.enter_async_context(part)


async def _cancelled(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait until it has ended."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
