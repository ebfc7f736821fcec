"""What the report routes take and answer."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from service.api.parameters import AirportCode, Month, Parameters

ON_TIME_MIN = 15
"""A flight is on time if it left less than this many minutes late, as the US Department of Transportation counts."""

MINIMUM_FLIGHTS = 30
"""A route with fewer flights is not ranked: a share of so few says little."""

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
    """What the flights of a report have in common."""

    origin: AirportCode | None = Field(None, description="Only flights that left from here.", examples=["JFK"])
    month: Month | None = Field(None, description="Only flights of this month, YYYY-MM.", examples=["2013-07"])


class DelayQuery(ReportFilters):
    """Grouping and filters of the delay report."""

    by: Grouping = Field(description="What a row of the report stands for.")


class RouteQuery(ReportFilters):
    """Filters and length of the ranking of routes."""

    limit: int = Field(20, ge=1, le=500, description="Routes in the answer.")


class Punctuality(BaseModel):
    """How a group of flights kept to its schedule. Delays are those of departures."""

    flights: int = Field(description="Everything that was scheduled.")
    cancelled: int
    diverted: int
    departed: int = Field(description="Flights whose departure delay is known.")
    on_time: int = Field(description=f"Of these, flights that left less than {ON_TIME_MIN} minutes late.")
    long_delays: int = Field(description=f"Of these, flights that left {LONG_DELAY_MIN} minutes late or more.")
    on_time_share: float | None = Field(description="`on_time` by `departed`; null without departures.")
    mean_delay_min: float | None = Field(description="Mean departure delay in minutes; early departures count below 0.")


class DelayRow(Punctuality):
    """One row of the delay report."""

    key: str = Field(description="Carrier code, YYYY-MM, local hour 00 to 23, or FAA code.")
    name: str | None = Field(description="Name of the carrier or airport; null where no reference table has it.")


class DelayReport(BaseModel):
    """How flights kept to their schedule, by group and in total."""

    model_config = ConfigDict(json_schema_extra={"examples": [DELAY_EXAMPLE]})

    by: Grouping
    origin: str | None
    month: str | None
    total: Punctuality
    items: list[DelayRow] = Field(description="In the order of their keys.")


class RouteRow(Punctuality):
    """One route of the ranking."""

    rank: int
    origin: str
    destination: str


class RouteReport(BaseModel):
    """Routes by their share of departures on time, best first; more flights win a tie."""

    origin: str | None
    month: str | None
    minimum_flights: int = Field(description="Routes with fewer flights are left out.")
    items: list[RouteRow]
