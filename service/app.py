"""The composition of the service: settings in, application out. Techniques are chosen here and nowhere else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from importlib.metadata import version
from typing import Final

from fastapi import Depends, FastAPI
from fastapi.telemetry import TelemetryConfig
from prometheus_client import CollectorRegistry

from observability import TelemetrySettings, instrument
from observability.cache import CacheMetrics
from observability.compression import CompressionMetrics
from service.airlines import routes as airlines
from service.airlines.routes import airlines_router
from service.airports import routes as airports
from service.airports.loading import EagerLoading, LazyLoading
from service.airports.routes import airports_router
from service.answers import FullObjects, SlimObjects
from service.authorisation import WriteToken
from service.body_limit import BodyLimit
from service.cache.compose import cache_for, policies_in_use, told_edge
from service.cache.edge import PurgingCache
from service.cache.layered import LayeredCache
from service.cache.middleware import ResponseCacheMiddleware
from service.cache.null import NullCache
from service.cache.policy import CachePolicy, PolicyTable
from service.cache.replay import ReplayMiddleware
from service.compression.middleware import CompressionMiddleware
from service.database import Database
from service.database.read_your_writes import ReadYourWrites
from service.exports.composition import exports_of
from service.exports.routes import exports_router
from service.flights.audit import AuditTrail
from service.flights.columns import AnsweredColumns, EveryColumn
from service.flights.follow_up import AfterResponse, BeforeResponse, FollowUp
from service.flights.pages import AllRows, KeysetPages
from service.flights.routes import FlightLists, FlightWrites, flights_router
from service.flights.updates import StatusUpdates
from service.flights.watchers import LocalWatchers
from service.head import HeadOfGet
from service.health import health_router
from service.http_cache import HttpCacheMiddleware
from service.itineraries.offload import cpu_work
from service.itineraries.routes import itineraries_router
from service.landing.routes import landing_router
from service.parameters import no_repeated_parameters
from service.plain_errors import PlainErrorsAsProblems
from service.problem_documentation import document_problems
from service.problems import install_problems
from service.reports import routes as reports
from service.reports.routes import reports_router
from service.settings import Settings
from service.weather.composition import weather_source
from service.weather.routes import weather_router

# `observability` records what FastAPI's own telemetry would, and costs less.
NO_NATIVE_TELEMETRY: Final[TelemetryConfig] = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}


POLICIES: Final[dict[str, CachePolicy]] = {**airlines.CACHED, **airports.CACHED, **reports.CACHED}
"""Which answers are kept where a technique asks for it, by path template."""


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
    invalidated = told_edge(settings, cache, meter=cache_metrics)
    weather = weather_source(settings, registry)
    exports, keeping_up = exports_of(settings, database, registry=registry)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as running:
            running.push_async_callback(database.close)
            await database.start()
            running.push_async_callback(weather.aclose)
            if isinstance(cache, LayeredCache):
                await running.enter_async_context(cache)
            if isinstance(invalidated, PurgingCache):
                await running.enter_async_context(invalidated)
            upkeep = asyncio.create_task(keeping_up.run(every_s=settings.export_lease_s / 3))
            running.push_async_callback(_cancelled, upkeep)
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
    watched = instrument(app, engines=database.engines, registry=registry, settings=telemetry)
    answers = SlimObjects() if settings.uses("slim_responses") else FullObjects()
    columns = AnsweredColumns() if settings.uses("deferred_columns") else EveryColumn()
    loading = EagerLoading() if settings.uses("eager_loading") else LazyLoading()
    lists = FlightLists(columns=columns, pages=KeysetPages() if settings.uses("pagination") else AllRows())
    writes = FlightWrites(
        token=WriteToken(settings.write_token),
        updates=StatusUpdates(database, cache=invalidated),
        follow_up=FollowUp(AuditTrail(database), LocalWatchers(), registry=registry),
        timing=AfterResponse() if settings.uses("background_tasks") else BeforeResponse(),
    )
    app.include_router(landing_router(settings, metrics_port=lambda: watched.metrics_port))
    app.include_router(health_router([database.check]))
    app.include_router(flights_router(database, lists=lists, writes=writes, answers=answers))
    app.include_router(airports_router(database, loading=loading, columns=columns, answers=answers))
    app.include_router(airlines_router(database, answers=answers))
    app.include_router(reports_router(database, answers=answers))
    app.include_router(weather_router(weather, answers=answers))
    work = cpu_work(settings, watched.saturation.threads)
    app.include_router(itineraries_router(database, work=work, answers=answers))
    app.include_router(exports_router(exports))
    install_problems(app)
    document_problems(app, not_modified=settings.uses("http_cache"))
    if "replica" in database.engines:
        app.add_middleware(ReadYourWrites)
    _add_middleware(app, settings, cache=cache, registry=registry)
    return app


async def _cancelled(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait until it has ended."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def _add_middleware(
    app: FastAPI, settings: Settings, *, cache: LayeredCache | NullCache, registry: CollectorRegistry
) -> None:
    """Add the middleware from the inside out: the last one added is the outermost."""
    app.add_middleware(PlainErrorsAsProblems)
    policies = policies_in_use(settings, POLICIES)
    compression = CompressionMetrics(registry)
    if isinstance(cache, LayeredCache):
        app.add_middleware(ResponseCacheMiddleware, cache=cache, policies=policies)
    if settings.uses("http_cache"):
        app.add_middleware(HttpCacheMiddleware, policies=PolicyTable(POLICIES))
    if settings.uses("compression"):
        app.add_middleware(CompressionMiddleware, meter=compression)
    app.add_middleware(BodyLimit, limit_bytes=settings.max_body_bytes)
    app.add_middleware(HeadOfGet)
    if isinstance(cache, LayeredCache):
        app.add_middleware(ReplayMiddleware, levels=cache.levels, compression=compression)
