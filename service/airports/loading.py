"""Relationship loading of departure boards: lazy or eager (technique `eager_loading`)."""

from collections.abc import Sequence
from typing import Protocol

from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload, selectinload

from service.core.models import Flight


class Loading(Protocol):
    """Reads flights with their airline, aircraft and destination."""

    async def flights(self, session: AsyncSession, query: Select[Flight]) -> Sequence[Flight]:
        """Return the flights with these relationships loaded."""


class LazyLoading:
    """N+1: one query for the flights and one for every object that is not in the session yet."""

    async def flights(self, session: AsyncSession, query: Select[Flight]) -> Sequence[Flight]:
        flights = (await session.scalars(query)).all()
        for flight in flights:
            await flight.awaitable_attrs.airline
            await flight.awaitable_attrs.aircraft
            await flight.awaitable_attrs.destination_airport
        return flights


class EagerLoading:
    """Three queries for any number of flights.

    The airline is narrow and joined; aircraft and airports are wide and shared by many flights, so `selectinload` reads
    each of them once.
    """

    async def flights(self, session: AsyncSession, query: Select[Flight]) -> Sequence[Flight]:
        query = query.options(
            joinedload(Flight.airline),
            selectinload(Flight.aircraft),
            selectinload(Flight.destination_airport),
        )
        return (await session.scalars(query)).all()
