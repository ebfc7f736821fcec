"""One hour of weather at an airport, in the responses of the upstream and of the service."""

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

STATIONS = ("EWR", "JFK", "LGA")
"""The airports with a weather station in the data."""


def _moment(value: object) -> object:
    """Accept only ISO 8601 with a time zone, from 1900 to 2099: pydantic alone would also accept timestamps."""
    if isinstance(value, str):
        if re.fullmatch(r"(19|20)[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}(:[0-9]{2}){1,2}(Z|[+-][0-9]{2}:[0-9]{2})", value):
            try:
                return datetime.fromisoformat(value)
            except ValueError:
                pass
        allowed = "YYYY-MM-DDTHH:MM and a zone, such as 2013-07-04T15:00Z; in a URL a + is written %2B"
        raise PydanticCustomError("moment", "is not a time with a time zone", {"allowed": allowed})
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"})]
"""An ISO 8601 time with its time zone."""


class Reading(BaseModel):
    """One hour of weather; a value is null where the station reported none."""

    model_config = ConfigDict(
        frozen=True,
        from_attributes=True,
        json_schema_extra={
            "example": {
                "origin": "JFK",
                "time": "2013-02-08T20:00:00Z",
                "temperature_f": 33.08,
                "dew_point_f": 30.92,
                "humidity_percent": 91.62,
                "wind_direction_deg": 40,
                "wind_speed_mph": 21.86,
                "wind_gust_mph": 31.07,
                "precipitation_in": 0.06,
                "pressure_mbar": 1003.2,
                "visibility_mi": 0.5,
            }
        },
    )

    origin: str
    time: AwareDatetime = Field(description="Start of the hour, UTC.")
    temperature_f: float | None
    dew_point_f: float | None
    humidity_percent: float | None
    wind_direction_deg: int | None
    wind_speed_mph: float | None
    wind_gust_mph: float | None
    precipitation_in: float | None
    pressure_mbar: float | None
    visibility_mi: float | None


def hour_of(moment: datetime) -> datetime:
    """Return the start of the hour of an aware time, in UTC."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
