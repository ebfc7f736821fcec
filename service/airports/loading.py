"""How a departure board gets the objects that its flights refer to (technique `eager_loading`)."""

from collections.abc import Sequence
from typing import Protocol

from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload, selectinload

from service.core.models import Flight


class Loading(Protocol):
    """Reads flights with their airline, aircraft and destination."""

    async def flights(self, session: AsyncSession, query: Select[Flight]) -> Sequence[Flight]:
        """Return the flights; their relationships need no further query."""


class LazyLoading:
    """Each object is read when it is first asked for: one query for the flights and one for every object."""

    async def flights(self, session: AsyncSession, query: Select[Flight]) -> Sequence[Flight]:
        """Read the flights, then walk over what they refer to."""
        flights = (await session.scalars(query)).all()
        for flight in flights:
            await flight.awaitable_attrs.airline
            await flight.awaitable_attrs.aircraft
            await flight.awaitable_attrs.destination_airport
        return flights


class EagerLoading:
    """Three queries, whatever the number of flights.

    Airlines are few and narrow and come by a join; aircraft and airports are wide and shared by many flights, so each
    is read once by its key.
    """

    async def flights(self, session: AsyncSession, query: Select[Flight]) -> Sequence[Flight]:
        """Read the flights with everything that they refer to."""
        query = query.options(
            joinedload(Flight.airline),
            selectinload(Flight.aircraft),
            selectinload(Flight.destination_airport),
        )
        return (await session.scalars(query)).all()
