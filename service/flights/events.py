"""`GET /flights/{flight_id}/events`: the changes of a flight's status as they happen (server-sent events)."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime
from typing import Annotated, Final

import anyio
from fastapi import APIRouter, Header, Path, Query
from pydantic import BaseModel
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from service.api.openapi import problems
from service.api.parameters import NoParameters
from service.database import Database
from service.errors import TooManySubscribers, UnknownFlight
from service.flights.queries import flight_by_id
from service.flights.status import Status
from service.flights.subscribers import LocalSubscribers

HEARTBEAT_S: Final = 15.0
"""A comment after so much silence, so that proxies and clients see that the stream lives."""

HEARTBEAT: Final = b": alive\n\n"
RETRY: Final = b"retry: 2000\n\n"


class StatusEvent(BaseModel):
    """The data of an event."""

    flight_id: int
    version: int
    status: Status
    departure_delay_min: int | None
    changed_at: datetime | None
    """None in the first event, which tells the state at the time."""

    def encoded(self) -> bytes:
        """Return the event as the stream carries it."""
        return f"event: status\nid: {self.version}\ndata: {self.model_dump_json()}\n\n".encode()


def events_router(database: Database, subscribers: LocalSubscribers, *, heartbeat_s: float = HEARTBEAT_S) -> APIRouter:
    """Return the event stream of flights."""
    router = APIRouter(prefix="/flights", tags=["flights"])
    flights = FlightEvents(database, subscribers, heartbeat_s=heartbeat_s)

    @router.get(
        "/{flight_id}/events",
        summary="Status changes as they happen",
        response_class=StreamingResponse,
        responses=problems(UnknownFlight, TooManySubscribers)
        | {200: {"content": {"text/event-stream": {}}, "description": "Events `status`; their id is the version."}},
    )
    async def events(
        flight_id: Annotated[int, Path(description="Id of the flight.")],
        _: Annotated[NoParameters, Query()],
        last_event_id: Annotated[str, Header(description="The version that the client knows.")] = "",
    ) -> Response:
        """The state at the time, then every change. A client that falls behind is told the latest state instead."""
        subscribers.admit()
        async with database.reading() as session:
            await flight_by_id(session, flight_id)
        known = int(last_event_id) if last_event_id.isdecimal() and len(last_event_id) < 10 else 0
        return EventStream(flights.since(known, flight_id))

    return router


class FlightEvents:
    """The events of flights, as bytes of a stream."""

    def __init__(self, database: Database, subscribers: LocalSubscribers, *, heartbeat_s: float) -> None:
        self._database = database
        self._watchers = subscribers
        self._heartbeat_s = heartbeat_s

    async def since(self, known: int, flight_id: int) -> AsyncGenerator[bytes]:
        """Yield the flight's state if it is newer than the known version, then its changes, each version once."""
        yield RETRY
        async with self._watchers.subscribe(flight_id) as changes:
            event: StatusEvent | None = await self._state(flight_id)
            while True:
                if event is None:
                    yield HEARTBEAT
                elif event.version > known:
                    known = event.version
                    yield event.encoded()
                try:
                    async with asyncio.timeout(self._heartbeat_s):
                        change = await changes.get()
                except TimeoutError:
                    event = None
                    continue
                if change is None:
                    event = await self._state(flight_id)
                    continue
                event = StatusEvent(
                    flight_id=flight_id,
                    version=change.version,
                    status=change.after,
                    departure_delay_min=change.departure_delay_min,
                    changed_at=change.changed_at,
                )

    async def _state(self, flight_id: int) -> StatusEvent:
        async with self._database.reading() as session:
            flight = await flight_by_id(session, flight_id)
            return StatusEvent(
                flight_id=flight_id,
                version=flight.version,
                status=Status(flight.status),
                departure_delay_min=flight.departure_delay_min,
                changed_at=None,
            )


class EventStream(Response):
    """A response that lasts until its client goes away, and notices that also while there is nothing to send."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[bytes]) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 the signature is ASGI's
        """Send the events."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with anyio.create_task_group() as group, aclosing(self._events) as events:

            async def end_with_the_client() -> None:
                while (await receive())["type"] != "http.disconnect":
                    pass
                group.cancel_scope.cancel()

            group.start_soon(end_with_the_client)
            async for event in events:
                await send({"type": "http.response.body", "body": event, "more_body": True})
