"""Every weather reading of the database, held in memory: the upstream's latency is the one it is told to have."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import create_async_engine

from service.models import Weather
from service.weather.reading import Reading, hour_of


class NoWeather(RuntimeError):
    """The database holds no weather to serve."""

    def __init__(self, database: str) -> None:
        super().__init__(f"no weather in {database}; load the data first: flightdeck data load")


class Readings:
    """Readings by airport and hour."""

    def __init__(self, readings: Iterable[Reading]) -> None:
        self._by_hour = {(reading.origin, reading.time): reading for reading in readings}

    def __len__(self) -> int:
        return len(self._by_hour)

    def at(self, origin: str, moment: datetime) -> Reading | None:
        """Return the reading of the hour that an aware moment is in, or None where the station has a gap."""
        return self._by_hour.get((origin, hour_of(moment)))


async def load_readings(database_url: str) -> Readings:
    """Return the database's readings; raise `NoWeather` if it has none."""
    engine = create_async_engine(database_url)
    columns = [getattr(Weather, name) for name in Reading.model_fields]
    try:
        async with engine.connect() as connection:
            rows = await connection.execute(select(*columns))
            readings = Readings(Reading.model_validate(row) for row in rows)
    finally:
        await engine.dispose()
    if not len(readings):
        raise NoWeather(engine.url.render_as_string())
    return readings
