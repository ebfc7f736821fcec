"""`GET /flights/{flight_id}/events`: the changes of a flight's status as server-sent events."""

import re
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Query, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel

from service.api.openapi import problems
from service.api.parameters import NoParameters
from service.database import Database
from service.errors import TooManySubscribers, UnknownFlight
from service.flights.queries import flight_by_id
from service.flights.schemas import FlightId, Status
from service.flights.subscribers import RESYNC, LocalSubscribers

RETRY_MS: Final = 2000
"""Pause of a client before it reconnects."""


class StatusEvent(BaseModel):
    """The data of an event."""

    flight_id: int
    version: int
    status: Status
    departure_delay_min: int | None
    changed_at: datetime | None
    """None where the event is the current state, not a change."""


def events_router(database: Database, subscribers: LocalSubscribers) -> APIRouter:
    router = APIRouter(prefix="/flights", tags=["flights"])

    async def current_status(flight_id: int) -> StatusEvent:
        async with database.reading() as session:
            flight = await flight_by_id(session, flight_id)
            return StatusEvent(
                flight_id=flight_id,
                version=flight.version,
                status=Status(flight.status),
                departure_delay_min=flight.departure_delay_min,
                changed_at=None,
            )

    async def can_subscribe(flight_id: FlightId, response: Response) -> None:
        """Raise what has to be raised before the stream begins, when its status is sent."""
        subscribers.require_capacity()
        await current_status(flight_id)
        response.headers["Cache-Control"] = "no-store"

    @router.get(
        "/{flight_id}/events",
        summary="Status changes of a flight as server-sent events",
        response_class=EventSourceResponse,
        responses=problems(UnknownFlight, TooManySubscribers)
        | {200: {"description": "Events named `status`; the id of an event is the flight's version."}},
        dependencies=[Depends(can_subscribe)],
    )
    async def events(
        flight_id: FlightId,
        _: Annotated[NoParameters, Query()],
        last_event_id: Annotated[str, Header(description="The last version that the client has received.")] = "",
    ) -> AsyncIterator[ServerSentEvent]:
        """Send the current state, then every change.

        A client that reads too slowly skips to the current state. FastAPI sends a comment after 15 s without an event.
        The stream ends when the process shuts down; the client reconnects after `retry`.
        """
        known = int(last_event_id) if re.fullmatch(r"[0-9]{1,9}", last_event_id) else 0
        yield ServerSentEvent(retry=RETRY_MS)
        async with subscribers.subscribe(flight_id) as changes:
            event = await current_status(flight_id)
            while True:
                if event.version > known:
                    known = event.version
                    yield ServerSentEvent(event="status", id=str(known), data=event)
                change = await changes.get()
                if subscribers.is_closed:
                    return
                if change is RESYNC:
                    event = await current_status(flight_id)
                else:
                    event = StatusEvent(
                        flight_id=flight_id,
                        version=change.version,
                        status=change.after,
                        departure_delay_min=change.departure_delay_min,
                        changed_at=change.changed_at,
                    )

    return router
