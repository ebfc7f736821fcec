from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.dialects import sqlite

from service.core.database_url import embedded_url
from service.core.models import Flight
from service.flights.queries import matching
from service.flights.schemas import FlightQuery
from tests.servers.databases import opened

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (date(2013, 1, 1), date(2013, 1, 1)),
        (date(2013, 1, 2), date(2013, 2, 1)),
        (date(2013, 7, 1), None),
        (None, date(2013, 1, 1)),
        (date.min, date.max),
        (None, date(9999, 12, 29)),
        (date.max, None),
    ],
    ids=str,
)
async def test_a_range_of_days_matches_the_flights_of_those_local_days(
    database_url: str, first: date | None, last: date | None
) -> None:
    days = {name: f"{day}" for name, day in {"date_from": first, "date_to": last}.items() if day}
    matched = select(func.count()).select_from(matching(FlightQuery.model_validate(days)).subquery())
    expected = select(func.count()).where(Flight.date.between(first or date.min, last or date.max))
    async with opened(database_url) as database, database.reading() as session:
        assert await session.scalar(matched) == await session.scalar(expected)


async def test_the_index_by_departure_is_read_from_the_first_day_on(few_flights: Path) -> None:
    query = FlightQuery.model_validate({"date_from": "2013-07-01", "date_to": "2013-07-02"})
    statement = matching(query).order_by(Flight.scheduled_departure, Flight.id).limit(100)
    sql = statement.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
    async with opened(embedded_url(few_flights / "flightdeck.db")) as database, database.reading() as session:
        plan = [row.detail for row in await session.execute(text(f"EXPLAIN QUERY PLAN {sql}"))]
    assert plan == ["SEARCH flights USING INDEX ix_flights_departure (scheduled_departure>? AND scheduled_departure<?)"]
