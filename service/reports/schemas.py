"""The requests and responses of the report routes."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from service.api.parameters import AirportCode, Month, Parameters

ON_TIME_MIN = 15
"""On time is a departure delay below this, as the US Department of Transportation defines it."""

MINIMUM_FLIGHTS = 30
"""A route with fewer flights is not ranked: its share would be too uncertain."""

LONG_DELAY_MIN = 60

DELAY_EXAMPLE: JsonDict = {
    "by": "carrier",
    "origin": "JFK",
    "month": "2013-07",
    "total": {
        "flights": 10023,
        "cancelled": 273,
        "diverted": 42,
        "departed": 9750,
        "on_time": 7020,
        "long_delays": 1170,
        "on_time_share": 0.72,
        "mean_delay_min": 23.77,
    },
    "items": [
        {
            "flights": 132,
            "cancelled": 6,
            "diverted": 1,
            "departed": 126,
            "on_time": 96,
            "long_delays": 12,
            "on_time_share": 0.7619,
            "mean_delay_min": 18.2,
            "key": "9E",
            "name": "Endeavor Air Inc.",
        }
    ],
}

Grouping = Literal["carrier", "month", "hour", "destination"]


class ReportFilters(Parameters):
    """Filters of the flights of a report."""

    origin: AirportCode | None = Field(None, description="FAA code of the departure airport.", examples=["JFK"])
    month: Month | None = Field(None, description="Month of the scheduled departure, YYYY-MM.", examples=["2013-07"])


class DelayQuery(ReportFilters):
    """Grouping and filters of the delay report."""

    by: Grouping = Field(description="What to group flights by.")


class RouteQuery(ReportFilters):
    """Filters and length of the ranking."""

    limit: int = Field(20, ge=1, le=500, description="Maximum number of routes.")


class Punctuality(BaseModel):
    """The punctuality of a group of flights. Delays are departure delays."""

    flights: int = Field(description="Scheduled flights.")
    cancelled: int
    diverted: int
    departed: int = Field(description="Flights whose departure delay is known.")
    on_time: int = Field(description=f"Departed flights with a delay below {ON_TIME_MIN} minutes.")
    long_delays: int = Field(description=f"Departed flights with a delay of {LONG_DELAY_MIN} minutes or more.")
    on_time_share: float | None = Field(description="`on_time` divided by `departed`; null without departures.")
    mean_delay_min: float | None = Field(description="Mean departure delay in minutes; early departures are negative.")


class DelayRow(Punctuality):
    """One row of the delay report."""

    key: str = Field(description="Carrier code, YYYY-MM, local hour 00 to 23, or FAA code.")
    name: str | None = Field(description="Name of the carrier or airport; null if there is none.")


class DelayReport(BaseModel):
    """The punctuality of flights, by group and in total."""

    model_config = ConfigDict(json_schema_extra={"examples": [DELAY_EXAMPLE]})

    by: Grouping
    origin: str | None
    month: str | None
    total: Punctuality
    items: list[DelayRow] = Field(description="Ordered by key.")


class RouteRow(Punctuality):
    """One route of the ranking."""

    rank: int
    origin: str
    destination: str


class RouteReport(BaseModel):
    """Routes by their share of on-time departures, best first; of equal routes the one with more flights first."""

    origin: str | None
    month: str | None
    minimum_flights: int = Field(description="Routes with fewer flights are not ranked.")
    items: list[RouteRow]
