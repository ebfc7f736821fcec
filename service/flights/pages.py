"""How much of a flight list is read: all of it, or a keyset page (technique `pagination`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession

from service.core.models import Flight
from service.flights import cursor
from service.flights.ordering import ORDERS
from service.flights.schemas import FlightQuery
from service.flights.status import Status

DEFAULT_LIMIT = 100


@dataclass(frozen=True)
class Page:
    """Flights in order, and the cursor behind the last one if there are more."""

    items: Sequence[Flight]
    next: str | None


class Pages(Protocol):
    """Reads the page of a flight list that a query asks for."""

    async def page(self, session: AsyncSession, flights: Select[Flight], query: FlightQuery) -> Page:
        """Return a page of the filtered `flights`; raise `BadCursor`."""


class AllRows:
    """Every matching row is read and, without an explicit limit, answered; a limit is applied in memory."""

    async def page(self, session: AsyncSession, flights: Select[Flight], query: FlightQuery) -> Page:
        """Read everything, then cut the page out."""
        order, start = ORDERS[query.sort], cursor.decode(query)
        ordered = flights.order_by(order.directed(order.column).nulls_last(), order.directed(Flight.id))
        found = (await session.scalars(ordered)).all()
        if start is not None:
            found = [flight for flight in found if order.rank(order.position(flight)) > order.rank(start)]
        return _cut(found, query, limit=query.limit or len(found))


class KeysetPages:
    """A bounded page is read by the position it starts behind, so that the last page costs what the first one does.

    Flights with a value and flights without one are two queries, of which most pages need one: each is a range of an
    index, and nulls come last on every database.
    """

    async def page(self, session: AsyncSession, flights: Select[Flight], query: FlightQuery) -> Page:
        """Read the page and one row more, which tells whether there is a next page."""
        order, start = ORDERS[query.sort], cursor.decode(query)
        limit = query.limit or DEFAULT_LIMIT
        found: list[Flight] = []
        # A cancelled flight has no delay: the whole index of delays would be read in vain.
        may_have_values = not (order.is_nullable and query.status is Status.CANCELLED)
        if may_have_values and (start is None or start.value is not None):
            valued = flights.where(order.column.is_not(None)) if order.is_nullable else flights
            if start is not None:
                valued = valued.where(order.after(start))
            valued = valued.order_by(order.directed(order.column), order.directed(Flight.id)).limit(limit + 1)
            found += await session.scalars(valued)
        if order.is_nullable and len(found) <= limit:
            nulls = flights.where(order.column.is_(None))
            if start is not None and start.value is None:
                nulls = nulls.where(order.after(start))
            found += await session.scalars(nulls.order_by(order.directed(Flight.id)).limit(limit + 1 - len(found)))
        return _cut(found, query, limit=limit)


def _cut(found: Sequence[Flight], query: FlightQuery, *, limit: int) -> Page:
    """Return the first `limit` flights, with a cursor if that leaves some out."""
    if len(found) <= limit:
        return Page(found, None)
    page = found[:limit]
    return Page(page, cursor.encode(query, ORDERS[query.sort].position(page[-1])))
