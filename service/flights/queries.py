"""Queries of the flights table."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from service.core.models import Flight
from service.errors import UnknownFlight
from service.flights.schemas import FlightFilter

LARGEST_ID = 2**31 - 1
TWO_DAYS = timedelta(days=2)


def matching(query: FlightFilter) -> Select[Flight]:
    """Return the query of the flights that match the filters, unordered."""
    conditions: list[ColumnElement[bool]] = []
    if query.origin is not None:
        conditions.append(Flight.origin == query.origin)
    if query.destination is not None:
        conditions.append(Flight.destination == query.destination)
    if query.carrier is not None:
        conditions.append(Flight.carrier == query.carrier)
    conditions += _on_days(query.date_from, query.date_to)
    if query.min_delay_min is not None:
        conditions.append(Flight.departure_delay_min >= query.min_delay_min)
    if query.status is not None:
        conditions.append(Flight.status == query.status.value)
    return select(Flight).where(*conditions)


def _on_days(first: date | None, last: date | None) -> Iterator[ColumnElement[bool]]:
    """Yield the conditions of a range of local days.

    The bounds in UTC let an index by departure be read from the first day on: New York is 4 or 5 hours behind UTC.
    """
    if first is not None:
        yield Flight.date >= first
        yield Flight.scheduled_departure >= datetime.combine(first, time.min, UTC)
    if last is not None:
        yield Flight.date <= last
        if last < date.max - TWO_DAYS:
            yield Flight.scheduled_departure < datetime.combine(last + TWO_DAYS, time.min, UTC)


async def flight_by_id(session: AsyncSession, flight_id: int) -> Flight:
    """Return the flight; raise `UnknownFlight`, also for an id outside the range of the column."""
    flight = await session.get(Flight, flight_id) if 0 < flight_id <= LARGEST_ID else None
    if flight is None:
        raise UnknownFlight(flight_id)
    return flight
