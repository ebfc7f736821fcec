"""Queries of airports and of their departures."""

import re
from collections.abc import Iterable, Sequence
from datetime import date

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from service.airports.distance import great_circle_mi
from service.core.models import Airport, Flight
from service.errors import UnknownAirport


async def all_airports(session: AsyncSession) -> Sequence[Airport]:
    return (await session.scalars(select(Airport).order_by(Airport.faa))).all()


async def airport_by_code(session: AsyncSession, faa: str) -> Airport:
    """Return the airport; raise `UnknownAirport`, also for a malformed code."""
    airport = await session.get(Airport, faa) if re.fullmatch("[A-Z0-9]{3}", faa) else None
    if airport is None:
        raise UnknownAirport(faa)
    return airport


def nearest(airport: Airport, airports: Iterable[Airport], *, limit: int) -> list[tuple[float, Airport]]:
    """Return the nearest other airports, each with its distance in miles; ties are ordered by code."""
    distances = [
        (great_circle_mi(airport.latitude, airport.longitude, other.latitude, other.longitude), other)
        for other in airports
        if other.faa != airport.faa
    ]
    return sorted(distances, key=lambda found: (found[0], found[1].faa))[:limit]


def departures(faa: str, day: date) -> Select[Flight]:
    """Return the query of the flights scheduled to depart on a local day, in the order of the schedule."""
    board = select(Flight).where(Flight.origin == faa, Flight.date == day)
    return board.order_by(Flight.scheduled_departure, Flight.id)
