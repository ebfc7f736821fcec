from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.orm.interfaces import ORMOption

from service.airports.loading import EagerLoading, LazyLoading
from service.airports.queries import departures
from service.airports.schemas import BoardFlight
from service.database import Database
from service.flights.factory import SELECTED_COLUMNS
from tests.servers.arm import arm_settings

pytestmark = pytest.mark.anyio


@pytest.fixture
async def database(few_flights: Path) -> AsyncIterator[Database]:
    database = Database(arm_settings("all", few_flights))
    yield database
    await database.close()


async def board(
    database: Database, loading: EagerLoading | LazyLoading, *columns: ORMOption
) -> tuple[list[str], list[BoardFlight]]:
    """Return the statements of a board, and its flights."""
    statements: list[str] = []
    engine = database.engines["primary"].sync_engine

    def note(*arguments: object) -> None:
        statements.append(str(arguments[2]))

    event.listen(engine, "before_cursor_execute", note)
    try:
        async with database.reading() as session:
            query = departures("JFK", date(2013, 1, 1)).options(*columns)
            flights = await loading.flights(session, query)
            return statements, [BoardFlight.model_validate(flight) for flight in flights]
    finally:
        event.remove(engine, "before_cursor_execute", note)


async def test_eager_loading_takes_three_queries_and_lazy_loading_hundreds(database: Database) -> None:
    eager, eager_flights = await board(database, EagerLoading())
    lazy, lazy_flights = await board(database, LazyLoading())

    assert eager_flights == lazy_flights
    assert len(eager_flights) == 297
    assert len(eager) == 3
    assert len(lazy) > 100


@pytest.mark.parametrize("loading", [EagerLoading(), LazyLoading()], ids=lambda value: type(value).__name__)
async def test_deferred_columns_leave_the_source_record_unread(
    database: Database, loading: EagerLoading | LazyLoading
) -> None:
    all_columns, all_flights = await board(database, loading)
    some_columns, some_flights = await board(database, loading, SELECTED_COLUMNS)

    assert "source_record" in all_columns[0]
    assert "source_record" not in some_columns[0]
    assert some_flights == all_flights
