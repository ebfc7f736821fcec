from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import create_engine, insert, text

from service.core.models import Base, DatasetLoad, Weather
from service.database import Database
from service.dataset.embedded import embedded_version
from service.settings import Settings
from service.upstream.readings import load_readings
from service.weather.reading import Reading

READING = Reading(
    origin="EWR",
    time=datetime(2013, 7, 4, 15, tzinfo=UTC),
    temperature_f=86.0,
    dew_point_f=71.06,
    humidity_percent=61.12,
    wind_direction_deg=None,
    wind_speed_mph=11.51,
    wind_gust_mph=None,
    precipitation_in=0.0,
    pressure_mbar=1020.4,
    visibility_mi=10.0,
)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(Settings(data_dir=tmp_path))
    yield database
    await database.close()


async def test_readings_come_from_the_database(tmp_path: Path, database: Database) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'flightdeck.db'}")
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(insert(Weather), [READING.model_dump()])
        loaded = {"digest": "0" * 64, "loaded_at": datetime.now(UTC)}
        connection.execute(insert(DatasetLoad), [loaded])
        connection.execute(text(f"PRAGMA user_version = {embedded_version()}"))
    engine.dispose()

    readings = await load_readings(database)

    assert readings.at("EWR", datetime(2013, 7, 4, 15, 59, 59, tzinfo=UTC)) == READING
    assert len(readings) == 1
