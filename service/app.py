"""The composition of the service: settings in, application out. Techniques are chosen here and nowhere else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import Depends, FastAPI
from fastapi.telemetry import TelemetryConfig
from prometheus_client import CollectorRegistry

from observability import TelemetrySettings, instrument
from service.airlines.routes import airlines_router
from service.airports.loading import EagerLoading, LazyLoading
from service.airports.routes import airports_router
from service.answers import FullObjects, SlimObjects
from service.authorisation import WriteToken
from service.body_limit import BodyLimit
from service.cache.null import NullCache
from service.database import Database
from service.flights.audit import AuditTrail
from service.flights.columns import AnsweredColumns, EveryColumn
from service.flights.follow_up import AfterResponse, BeforeResponse, FollowUp
from service.flights.pages import AllRows, KeysetPages
from service.flights.routes import FlightLists, FlightWrites, flights_router
from service.flights.updates import StatusUpdates
from service.flights.watchers import LocalWatchers
from service.head import HeadOfGet
from service.health import health_router
from service.parameters import no_repeated_parameters
from service.problem_documentation import document_problems
from service.problems import install_problems
from service.reports.routes import reports_router
from service.settings import Settings

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
    """Return the service with the techniques that the settings switch on; nothing connects before it starts."""
    registry = registry or CollectorRegistry()
    database = Database(settings)
    cache = NullCache()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await database.close()

    app = FastAPI(
        title="Flightdeck",
        summary="Every flight that left New York City in 2013, served with and without each performance technique.",
        lifespan=lifespan,
        telemetry=NO_NATIVE_TELEMETRY,
        redirect_slashes=False,
        dependencies=[Depends(no_repeated_parameters)],
    )
    answers = SlimObjects() if settings.uses("slim_responses") else FullObjects()
    columns = AnsweredColumns() if settings.uses("deferred_columns") else EveryColumn()
    lists = FlightLists(columns=columns, pages=KeysetPages() if settings.uses("pagination") else AllRows())
    writes = FlightWrites(
        token=WriteToken(settings.write_token),
        updates=StatusUpdates(database, cache=cache),
        follow_up=FollowUp(AuditTrail(database), LocalWatchers(), registry=registry),
        timing=AfterResponse() if settings.uses("background_tasks") else BeforeResponse(),
    )
    loading = EagerLoading() if settings.uses("eager_loading") else LazyLoading()
    app.include_router(health_router([database.check]))
    app.include_router(flights_router(database, lists=lists, writes=writes, answers=answers))
    app.include_router(airports_router(database, loading=loading, columns=columns, answers=answers))
    app.include_router(airlines_router(database, answers=answers))
    app.include_router(reports_router(database, answers=answers))
    install_problems(app)
    document_problems(app)
    app.add_middleware(BodyLimit, limit_bytes=settings.max_body_bytes)
    app.add_middleware(HeadOfGet)
    instrument(app, engines=database.engines, registry=registry, settings=telemetry)
    return app
