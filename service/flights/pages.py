"""What is read of a flight list: every row, or a keyset page (technique `pagination`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession

from service.core.models import Flight
from service.flights import cursor
from service.flights.ordering import ORDERS
from service.flights.schemas import FlightQuery, Status

DEFAULT_LIMIT = 100


@dataclass(frozen=True)
class Page:
    """Flights in order, and the cursor of the next page if there is one."""

    items: Sequence[Flight]
    next: str | None


class Pages(Protocol):
    """Reads one page of a flight list."""

    async def page(self, session: AsyncSession, flights: Select[Flight], query: FlightQuery) -> Page:
        """Return a page of the filtered `flights`; raise `BadCursor`."""


class AllRows:
    """Read every matching row; a limit is applied in memory, and there is none by default."""

    async def page(self, session: AsyncSession, flights: Select[Flight], query: FlightQuery) -> Page:
        order, start = ORDERS[query.sort], cursor.decode(query)
        ordered = flights.order_by(order.directed(order.column).nulls_last(), order.directed(Flight.id))
        found = (await session.scalars(ordered)).all()
        if start is not None:
            found = [flight for flight in found if order.rank(order.position(flight)) > order.rank(start)]
        return _cut(found, query, limit=query.limit or len(found))


class KeysetPages:
    """Read one bounded page by the position it starts after: the last page costs as much as the first.

    Flights with a sort value and flights without one are separate queries, of which most pages need one: each is a
    range of an index, and nulls come last on every database.
    """

    async def page(self, session: AsyncSession, flights: Select[Flight], query: FlightQuery) -> Page:
        """Return the page; one row more is read to see whether there is a next one."""
        order, start = ORDERS[query.sort], cursor.decode(query)
        limit = query.limit or DEFAULT_LIMIT
        found: list[Flight] = []
        # A cancelled flight has no delay: the query would read the whole index of delays and find none.
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
