"""The questions asked of the flights table."""

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from service.errors import UnknownFlight
from service.flights.schemas import FlightQuery
from service.models import Flight

LARGEST_ID = 2**31 - 1


def matching(query: FlightQuery) -> Select[Flight]:
    """Return the flights that match the query's filters, in no order."""
    conditions: list[ColumnElement[bool]] = []
    if query.origin is not None:
        conditions.append(Flight.origin == query.origin)
    if query.destination is not None:
        conditions.append(Flight.destination == query.destination)
    if query.carrier is not None:
        conditions.append(Flight.carrier == query.carrier)
    if query.date_from is not None:
        conditions.append(Flight.date >= query.date_from)
    if query.date_to is not None:
        conditions.append(Flight.date <= query.date_to)
    if query.min_delay_min is not None:
        conditions.append(Flight.departure_delay_min >= query.min_delay_min)
    if query.status is not None:
        conditions.append(Flight.status == query.status.value)
    return select(Flight).where(*conditions)


async def flight_by_id(session: AsyncSession, flight_id: int) -> Flight:
    """Return the flight; raise `UnknownFlight`, also for an id that no column could hold."""
    flight = await session.get(Flight, flight_id) if 0 < flight_id <= LARGEST_ID else None
    if flight is None:
        raise UnknownFlight(flight_id)
    return flight
