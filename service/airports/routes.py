"""The airport routes."""

from collections.abc import Sequence
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request
from sqlalchemy.orm.interfaces import ORMOption
from starlette.responses import Response

from service.airports import queries
from service.airports.loading import Loading
from service.airports.schemas import (
    AirportList,
    AirportOut,
    Board,
    BoardFlight,
    BoardQuery,
    NearbyAirport,
    NearbyAirports,
    NearestQuery,
)
from service.api.openapi import problems
from service.api.parameters import NoParameters
from service.api.responses import Responses
from service.database import Database
from service.errors import UnknownAirport
from service.flights.tags import board_tag
from service.http.cache_model.policy import CachePolicy
from service.http.cache_model.tags import tag_response

_REFERENCE: Final = CachePolicy(
    cache="reference", technique="local_cache", ttl_s=3600, stale_s=600, negative_ttl_s=30, browser_s=60
)

CACHED: Final = {
    "/airports": _REFERENCE,
    "/airports/{faa}": _REFERENCE,
    "/airports/{faa}/nearest": _REFERENCE,
    "/airports/{faa}/departures": CachePolicy(
        cache="board", technique="response_cache", ttl_s=60, stale_s=30, negative_ttl_s=30
    ),
}

FaaCode = Annotated[
    str, Path(description="FAA code of the airport, three capital letters or digits.", examples=["JFK"])
]


def airports_router(
    database: Database, *, loading: Loading, columns: Sequence[ORMOption], responses: Responses
) -> APIRouter:
    router = APIRouter(prefix="/airports", tags=["airports"])

    @router.get("", summary="List airports", response_model=AirportList, responses=problems())
    async def airports(request: Request, _: Annotated[NoParameters, Query()]) -> Response:
        tag_response(request, "reference")
        async with database.reading() as session:
            found = await queries.all_airports(session)
        return responses.render(AirportList(items=[AirportOut.model_validate(airport) for airport in found]))

    @router.get("/{faa}", summary="Get one airport", response_model=AirportOut, responses=problems(UnknownAirport))
    async def one_airport(request: Request, faa: FaaCode, _: Annotated[NoParameters, Query()]) -> Response:
        tag_response(request, "reference")
        async with database.reading() as session:
            airport = await queries.airport_by_code(session, faa)
        return responses.render(AirportOut.model_validate(airport))

    @router.get(
        "/{faa}/nearest",
        summary="List the nearest airports",
        response_model=NearbyAirports,
        responses=problems(UnknownAirport),
    )
    async def nearest(request: Request, faa: FaaCode, query: Annotated[NearestQuery, Query()]) -> Response:
        tag_response(request, "reference")
        async with database.reading() as session:
            airport = await queries.airport_by_code(session, faa)
            others = await queries.all_airports(session)
        found = queries.nearest(airport, others, limit=query.limit)
        items = [
            NearbyAirport(**AirportOut.model_validate(other).model_dump(), distance_mi=round(distance_mi, 1))
            for distance_mi, other in found
        ]
        return responses.render(NearbyAirports(airport=AirportOut.model_validate(airport), items=items))

    @router.get(
        "/{faa}/departures",
        summary="Departure board of a day",
        response_model=Board,
        responses=problems(UnknownAirport),
    )
    async def departures(request: Request, faa: FaaCode, query: Annotated[BoardQuery, Query()]) -> Response:
        """Return the flights of a day with airline, aircraft and destination, where the reference tables have them."""
        tag_response(request, board_tag(faa, query.date), "reference")
        async with database.reading() as session:
            airport = await queries.airport_by_code(session, faa)
            board = queries.departures(faa, query.date).options(*columns)
            flights = await loading.flights(session, board)
        items = [BoardFlight.model_validate(flight) for flight in flights]
        return responses.render(Board(airport=AirportOut.model_validate(airport), date=query.date, items=items))

    return router
