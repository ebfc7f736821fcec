from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from service.core.database_url import embedded_url
from service.core.models import Flight
from service.errors import DatabaseBusy, DatabaseUnreachable, NotReady
from tests.servers.databases import opened

pytestmark = pytest.mark.anyio


def database_in(directory: Path) -> str:
    return embedded_url(directory / "flightdeck.db")


async def test_making_a_database_touches_no_disk_and_a_missing_one_is_named(tmp_path: Path) -> None:
    async with opened(database_in(tmp_path / "nowhere")) as database:
        with pytest.raises(NotReady, match=r"nowhere/flightdeck.db does not exist.*flightdeck data load"):
            await database.check()
    assert not (tmp_path / "nowhere").exists()


async def test_a_missing_database_makes_a_request_unavailable_and_no_empty_file(tmp_path: Path) -> None:
    async with opened(database_in(tmp_path)) as database:
        with pytest.raises(DatabaseUnreachable):
            async with database.reading() as session:
                await session.execute(select(Flight.id))
    assert not (tmp_path / "flightdeck.db").exists()


async def test_a_database_without_tables_is_not_ready(tmp_path: Path) -> None:
    (tmp_path / "flightdeck.db").touch()
    async with opened(database_in(tmp_path)) as database:
        with pytest.raises(NotReady, match="not loaded"):
            await database.check()


async def test_a_database_of_another_version_is_not_ready(data_dir: Path) -> None:
    async with opened(database_in(data_dir)) as database:
        async with database.writing() as session:
            await session.execute(text("PRAGMA user_version = 7"))
        with pytest.raises(NotReady, match="another version"):
            await database.check()


async def test_without_indexes_the_twin_is_read(few_flights: Path) -> None:
    indexes = select(func.count()).select_from(text("sqlite_master")).where(text("name LIKE 'ix_%'"))
    async with opened(database_in(few_flights)) as database, database.reading() as session:
        assert await session.scalar(indexes) == 7
    async with opened(database_in(few_flights), techniques="none") as database, database.reading() as session:
        assert await session.scalar(indexes) == 0


async def test_a_busy_timeout_is_database_busy(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.database.sqlite.BUSY_TIMEOUT_S", 0.05)
    async with opened(database_in(data_dir)) as database, database.writing():
        with pytest.raises(DatabaseBusy):
            async with database.writing():
                pytest.fail("two writers at once")
