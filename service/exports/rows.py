"""The rows of an export, in batches: a month of flights never stands in memory as a whole."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from service.core.models import Flight
from service.flights.queries import matching
from service.flights.schemas import FIELDS, FlightFilter

BATCH_ROWS: Final = 5_000

Row = Sequence[Any]


async def count(session: AsyncSession, wanted: FlightFilter) -> int:
    """Return how many flights match."""
    return await session.scalar(select(func.count()).select_from(matching(wanted).subquery())) or 0


async def batches(session: AsyncSession, wanted: FlightFilter) -> AsyncIterator[Sequence[Row]]:
    """Yield the matching flights in order of departure, each as the values of `FIELDS`."""
    columns = [getattr(Flight, name) for name in FIELDS]
    ordered = matching(wanted).with_only_columns(*columns).order_by(Flight.scheduled_departure, Flight.id)
    rows = await session.stream(ordered.execution_options(yield_per=BATCH_ROWS))
    async for batch in rows.partitions():
        yield batch
