"""Every weather reading of the database, in memory, so that the configured latency is the only one."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import select

from service.core.models import Weather
from service.database import Database
from service.weather.reading import Reading, hour_of


class Readings:
    """Readings by airport and hour."""

    def __init__(self, readings: Iterable[Reading]) -> None:
        self._by_hour = {(reading.origin, reading.time): reading for reading in readings}

    def __len__(self) -> int:
        return len(self._by_hour)

    def at(self, origin: str, moment: datetime) -> Reading | None:
        """Return the reading of the hour of an aware time, None where the station has a gap."""
        return self._by_hour.get((origin, hour_of(moment)))


async def load_readings(database: Database) -> Readings:
    """Return the readings of the database; raise `NotReady` if it has none."""
    await database.check()
    columns = [getattr(Weather, name) for name in Reading.model_fields]
    async with database.reading() as session:
        rows = await session.execute(select(*columns))
        return Readings(Reading.model_validate(row) for row in rows)
