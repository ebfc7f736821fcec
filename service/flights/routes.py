"""The flight routes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request
from sqlalchemy.orm.interfaces import ORMOption
from starlette.responses import Response

from service.api.authorisation import TOKEN_PROBLEMS, WriteToken
from service.api.body import BODY_PROBLEMS, body_documentation, json_body
from service.api.openapi import problems
from service.api.parameters import NoParameters
from service.api.rate_limit import RateLimit
from service.api.responses import Responses
from service.database import Database
from service.errors import (
    BadCursor,
    ConcurrentUpdate,
    TooManyRequests,
    UnknownFlight,
    VersionMismatch,
)
from service.flights.background import Timing
from service.flights.etag import flight_etag
from service.flights.outbox import OutboxRelay
from service.flights.pages import Pages
from service.flights.queries import flight_by_id, matching
from service.flights.schemas import FlightDetail, FlightId, FlightPage, FlightQuery, StatusUpdate
from service.flights.tags import FLIGHT_LISTS, flight_tag
from service.flights.updates import StatusUpdates
from service.http.cache_model.tags import tag_response


@dataclass(frozen=True, kw_only=True)
class FlightWrites:
    """The parts of a status update."""

    token: WriteToken
    rate_limit: RateLimit
    updates: StatusUpdates
    relay: OutboxRelay
    timing: Timing


IfMatch = Annotated[
    list[str] | None,
    Header(description="The `ETag` of the version to update; 412 if the flight has another version."),
]


def flights_router(
    database: Database, *, columns: Sequence[ORMOption], pages: Pages, writes: FlightWrites, responses: Responses
) -> APIRouter:
    router = APIRouter(tags=["flights"])

    @router.get(
        "/flights",
        summary="List flights",
        response_model=FlightPage,
        responses=problems(BadCursor),
    )
    async def list_flights(request: Request, query: Annotated[FlightQuery, Query()]) -> Response:
        tag_response(request, FLIGHT_LISTS)
        async with database.reading() as session:
            page = await pages.page(session, matching(query).options(*columns), query)
        return responses.render(FlightPage.model_validate(page), fields=query.selected_fields)

    @router.get(
        "/flights/{flight_id}",
        summary="Get one flight",
        response_model=FlightDetail,
        responses=problems(UnknownFlight),
    )
    async def one_flight(request: Request, flight_id: FlightId, _: Annotated[NoParameters, Query()]) -> Response:
        tag_response(request, flight_tag(flight_id))
        async with database.reading() as session:
            flight = await flight_by_id(session, flight_id)
        return _versioned(responses.render(FlightDetail.model_validate(flight)), flight.id, flight.version)

    @router.patch(
        "/flights/{flight_id}/status",
        summary="Update the status of a flight",
        response_model=FlightDetail,
        responses=problems(
            *TOKEN_PROBLEMS, *BODY_PROBLEMS, UnknownFlight, ConcurrentUpdate, VersionMismatch, TooManyRequests
        ),
        dependencies=[Depends(writes.token), Depends(writes.rate_limit)],
        openapi_extra=body_documentation(StatusUpdate),
    )
    async def update_status(
        request: Request, flight_id: FlightId, _: Annotated[NoParameters, Query()], if_match: IfMatch = None
    ) -> Response:
        """Set the status, and optionally the departure delay, as the next version of the flight.

        Any status may follow any other. Once the response is sent, no cache of the service serves the old version.
        """
        change = await json_body(request, StatusUpdate)
        updated = await writes.updates.apply(flight_id, change, if_match=if_match)
        response = _versioned(responses.render(updated.flight), flight_id, updated.flight.version)
        return await writes.timing.respond(response, lambda: writes.relay.deliver(updated.change_id, updated.change))

    return router


def _versioned(response: Response, flight_id: int, version: int) -> Response:
    response.headers["ETag"] = flight_etag(flight_id, version)
    return response
