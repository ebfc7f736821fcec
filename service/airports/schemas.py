"""The requests and responses of the airport routes."""

import datetime as dt

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from service.airlines.schemas import AirlineOut
from service.api.parameters import Day, Parameters
from service.flights.schemas import EXAMPLE as FLIGHT_EXAMPLE
from service.flights.schemas import FlightOut

EXAMPLE: JsonDict = {
    "faa": "JFK",
    "name": "John F Kennedy Intl",
    "latitude": 40.639751,
    "longitude": -73.778925,
    "altitude_ft": 13,
    "utc_offset_h": -5.0,
    "dst": "A",
    "timezone": "America/New_York",
}


class AirportOut(BaseModel):
    """An airport."""

    model_config = ConfigDict(from_attributes=True, json_schema_extra={"examples": [EXAMPLE]})

    faa: str
    name: str
    latitude: float
    longitude: float
    altitude_ft: int
    utc_offset_h: float
    dst: str = Field(description="Daylight saving time: A for US rules, N for none, U for unknown.")
    timezone: str | None = Field(description="IANA name of the time zone; null if unknown.")


class AirportList(BaseModel):
    """Airports, ordered by code."""

    items: list[AirportOut]


class NearestQuery(Parameters):
    """The number of airports."""

    limit: int = Field(10, ge=1, le=100, description="Maximum number of airports.")


class NearbyAirport(AirportOut):
    """An airport and its distance."""

    distance_mi: float = Field(description="Great-circle distance in statute miles.")


class NearbyAirports(BaseModel):
    """The airports nearest to one, nearest first."""

    airport: AirportOut
    items: list[NearbyAirport]


class BoardQuery(Parameters):
    """The day of a departure board."""

    date: Day = Field(description="Local day of the scheduled departure, YYYY-MM-DD.", examples=["2013-07-04"])


class AircraftOut(BaseModel):
    """An aircraft."""

    model_config = ConfigDict(from_attributes=True)

    tail_number: str
    year: int | None
    type: str
    manufacturer: str
    model: str
    engines: int
    seats: int
    speed: int | None
    engine: str


class BoardFlight(FlightOut):
    """A flight of a departure board."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                FLIGHT_EXAMPLE
                | {"airline": {"carrier": "UA", "name": "United Air Lines Inc."}, "aircraft": None}
                | {"destination_airport": EXAMPLE}
            ]
        }
    )

    airline: AirlineOut | None
    aircraft: AircraftOut | None = Field(description="Null if the reference table does not have it.")
    destination_airport: AirportOut | None = Field(description="Null if the reference table does not have it.")


class Board(BaseModel):
    """The departures of an airport on a day, in scheduled order."""

    airport: AirportOut
    date: dt.date
    items: list[BoardFlight]
