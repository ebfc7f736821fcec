"""The report routes."""

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from service.api.openapi import problems
from service.api.responses import Responses
from service.database import Database
from service.flights.tags import report_tag
from service.http.cache_model.policy import CachePolicy
from service.http.cache_model.tags import tag_response
from service.reports import queries
from service.reports.schemas import (
    MINIMUM_FLIGHTS,
    DelayQuery,
    DelayReport,
    DelayRow,
    Punctuality,
    RouteQuery,
    RouteReport,
    RouteRow,
)

_REPORT: Final = CachePolicy(cache="report", technique="response_cache", ttl_s=300, stale_s=60, negative_ttl_s=0)

CACHED: Final = {"/reports/delays": _REPORT, "/reports/routes": _REPORT}


def reports_router(database: Database, *, responses: Responses) -> APIRouter:
    router = APIRouter(prefix="/reports", tags=["reports"])

    @router.get("/delays", summary="Delay report by group", response_model=DelayReport, responses=problems())
    async def delays(request: Request, query: Annotated[DelayQuery, Query()]) -> Response:
        """Return the punctuality of flights by carrier, month, local hour or destination."""
        tag_response(request, report_tag(query.origin, query.month))
        async with database.reading() as session:
            groups = await queries.delays(session, query.by, query)
            names = await queries.names(session, query.by)
        total = queries.Counts.total(groups.values())
        return responses.render(
            DelayReport(
                by=query.by,
                origin=query.origin,
                month=query.month,
                total=Punctuality(**total.columns()),
                items=[DelayRow(key=key, name=names.get(key), **counts.columns()) for key, counts in groups.items()],
            )
        )

    @router.get("/routes", summary="Rank routes by punctuality", response_model=RouteReport, responses=problems())
    async def routes(request: Request, query: Annotated[RouteQuery, Query()]) -> Response:
        """Return the routes with the largest share of on-time departures."""
        tag_response(request, report_tag(query.origin, query.month))
        async with database.reading() as session:
            ranked = await queries.ranked_routes(session, query)
        rows = [
            RouteRow(rank=rank, origin=route.origin, destination=route.destination, **route.counts.columns())
            for rank, route in enumerate(ranked[: query.limit], start=1)
        ]
        return responses.render(
            RouteReport(origin=query.origin, month=query.month, minimum_flights=MINIMUM_FLIGHTS, items=rows)
        )

    return router
