"""Keyset pages skip and repeat no flight, and are slices of the full list."""

from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import StaticPool, insert
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from service.core.models import Flight
from service.errors import BadCursor
from service.flights import cursor
from service.flights.ordering import ORDERS, Position
from service.flights.pages import DEFAULT_LIMIT, AllRows, KeysetPages, Pages
from service.flights.queries import matching
from service.flights.schemas import FlightQuery

START = datetime(2013, 1, 1, tzinfo=UTC)
Row = tuple[int, int | None]
"""Minutes after `START`, and a departure delay."""

rows = st.lists(st.tuples(st.integers(0, 5), st.none() | st.integers(-3, 3)), max_size=30)


@asynccontextmanager
async def table(flights: Sequence[Row]) -> AsyncIterator[AsyncSession]:
    """Yield a session on a new database with these flights, ids from 1."""
    engine = create_async_engine("sqlite+aiosqlite://", poolclass=StaticPool)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(Flight.metadata.create_all)
            if flights:
                await connection.execute(
                    insert(Flight), [flight(number, *row) for number, row in enumerate(flights, 1)]
                )
        async with AsyncSession(engine) as session:
            yield session
    finally:
        await engine.dispose()


def flight(number: int, minutes: int, delay: int | None) -> dict[str, object]:
    return {
        **dict.fromkeys(column.key for column in Flight.__table__.columns if column.nullable),
        "id": number,
        "date": date(2013, 1, 1),
        "hour": 5,
        "carrier": "UA",
        "number": number,
        "origin": "JFK",
        "destination": "LAX",
        "scheduled_departure": START + timedelta(minutes=minutes),
        "version": 1,
        "departure_delay_min": delay,
        "scheduled_arrival_local": "10:00",
        "distance_mi": 1,
        "source_record": "{}",
        "status": "cancelled" if delay is None else "arrived",
    }


async def walked(pages: Pages, session: AsyncSession, query: FlightQuery) -> list[list[int]]:
    """Return the ids on each page, from the first one to the last."""
    found: list[list[int]] = []
    while True:
        page = await pages.page(session, matching(query), query)
        found.append([flight.id for flight in page.items])
        if page.next is None:
            return found
        query = query.model_copy(update={"cursor": page.next})


def expected(flights: Sequence[Row], sort: str) -> list[int]:
    """Return the ids in the defined order: unknown values last, ties by id in the direction of the sort."""
    sign, column = (-1 if sort.startswith("-") else 1), (0 if sort.endswith("departure") else 1)

    def key(number: int) -> tuple[bool, int, int]:
        value = flights[number - 1][column]
        return value is None, sign * (value or 0), sign * number

    return sorted(range(1, len(flights) + 1), key=key)


@pytest.mark.parametrize("sort", ORDERS)
@settings(deadline=None, max_examples=25)
@given(flights=rows, limit=st.integers(1, 7))
def test_consecutive_pages_have_every_flight_once_and_in_order(sort: str, flights: list[Row], limit: int) -> None:
    async def walk() -> None:
        query = FlightQuery.model_validate({"sort": sort, "limit": limit})
        wanted = expected(flights, sort)
        slices = [wanted[start : start + limit] for start in range(0, len(wanted), limit)] or [[]]
        async with table(flights) as session:
            assert await walked(KeysetPages(), session, query) == slices
            assert await walked(AllRows(), session, query) == slices

    anyio.run(walk)


@pytest.mark.anyio
async def test_a_flight_inserted_before_the_current_page_does_not_shift_the_next_ones() -> None:
    query = FlightQuery(limit=2)
    async with table([(1, 0), (2, 0), (3, 0), (4, 0)]) as session:
        first = await KeysetPages().page(session, matching(query), query)
        await session.execute(insert(Flight), [flight(99, 0, 0)])
        second = query.model_copy(update={"cursor": first.next})
        page = await KeysetPages().page(session, matching(second), second)

    assert [[flight.id for flight in first.items], [flight.id for flight in page.items]] == [[1, 2], [3, 4]]


@pytest.mark.anyio
async def test_pages_are_bounded_and_reading_everything_is_not() -> None:
    async with table([(number, 0) for number in range(DEFAULT_LIMIT + 20)]) as session:
        page = await KeysetPages().page(session, matching(FlightQuery()), FlightQuery())
        everything = await AllRows().page(session, matching(FlightQuery()), FlightQuery())

    assert len(page.items) == DEFAULT_LIMIT
    assert page.next is not None
    assert len(everything.items) == DEFAULT_LIMIT + 20
    assert everything.next is None


positions = st.builds(Position, st.none() | st.integers(-3000, 3000), st.integers(1, 2**31 - 1))


@given(position=positions, sort=st.sampled_from(["departure_delay_min", "-departure_delay_min"]))
def test_a_cursor_decodes_to_its_position(position: Position, sort: str) -> None:
    query = FlightQuery.model_validate({"sort": sort})
    text = cursor.encode(query, position)

    assert cursor.decode(query.model_copy(update={"cursor": text})) == position
    assert text.isascii()
    assert set(text).isdisjoint("+/=&%#? ")


@pytest.mark.parametrize(
    "change",
    [
        {"origin": "JFK"},
        {"sort": "-scheduled_departure"},
        {"sort": "departure_delay_min"},
        {"date_from": "2013-01-01"},
        {"min_delay_min": 0},
        {"status": "cancelled"},
    ],
    ids=str,
)
def test_a_cursor_of_another_query_is_rejected_with_the_reason(change: dict[str, object]) -> None:
    text = cursor.encode(FlightQuery(), Position(1_356_998_400, 7))

    with pytest.raises(BadCursor, match="other filters or another sort"):
        cursor.decode(FlightQuery.model_validate({**change, "cursor": text}))


def test_a_cursor_is_valid_for_another_limit_and_other_fields() -> None:
    text = cursor.encode(FlightQuery(limit=5), Position(1_356_998_400, 7))

    assert cursor.decode(FlightQuery(limit=9, fields="id", cursor=text)) == Position(1_356_998_400, 7)


@given(text=st.text(min_size=1, max_size=200))
def test_any_text_is_a_cursor_or_rejected(text: str) -> None:
    with pytest.raises(BadCursor):
        cursor.decode(FlightQuery(cursor=text))


@pytest.mark.parametrize(
    "parts",
    [
        '["{}",null,7]',
        '["{}",-1,7]',
        '["{}",1.5,7]',
        '["{}",true,7]',
        '["{}","1356998400",7]',
        '["{}",99999999999999,7]',
        '["{}",1356998400,0]',
        '["{}",1356998400,2147483648]',
        '["{}",1356998400,null]',
        '["{}",1356998400]',
        '"{}"',
        '{{"a":"{}","b":1,"c":2}}',
        "[" * 150,
    ],
)
def test_a_cursor_with_an_impossible_position_is_rejected(parts: str) -> None:
    text = urlsafe_b64encode(parts.format(cursor.fingerprint(FlightQuery())).encode()).decode().rstrip("=")

    with pytest.raises(BadCursor):
        cursor.decode(FlightQuery(cursor=text[:200]))
