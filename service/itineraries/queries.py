"""The database queries of an itinerary search."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from service.core.models import Airport, Flight
from service.errors import UnknownAirport
from service.flights.schemas import Status
from service.itineraries.timetable import ScheduledFlight
from service.itineraries.zones import UNLISTED_ZONES


async def time_zones(session: AsyncSession, *required: str) -> Mapping[str, str]:
    """Return the time zones of airports; raise `UnknownAirport` for a required airport without one."""
    listed = await session.execute(select(Airport.faa, Airport.timezone).where(Airport.timezone.is_not(None)))
    zones = UNLISTED_ZONES | {faa: zone for faa, zone in listed if zone is not None}
    for faa in required:
        if faa not in zones:
            raise UnknownAirport(faa)
    return zones


async def flights_around(session: AsyncSession, day: date) -> Sequence[ScheduledFlight]:
    """Return the flights from the day before to two days after: connections, and the departures that bound returns."""
    flights = await session.execute(
        select(
            Flight.id,
            Flight.carrier,
            Flight.number,
            Flight.tail_number,
            Flight.origin,
            Flight.destination,
            Flight.scheduled_departure,
            Flight.scheduled_arrival_local,
        ).where(
            Flight.date.between(day - timedelta(days=1), day + timedelta(days=2)),
            Flight.status != Status.CANCELLED.value,
        )
    )
    return [ScheduledFlight._make(flight) for flight in flights]
