"""What the flight routes take and answer."""

import datetime as dt
import json
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from service.api.parameters import AirportCode, CarrierCode, Day, Parameters
from service.flights.status import Status

MINUTES = "in minutes, negative when early"

EXAMPLE: JsonDict = {
    "id": 1,
    "date": "2013-01-01",
    "carrier": "UA",
    "number": 1545,
    "tail_number": "N14228",
    "origin": "EWR",
    "destination": "IAH",
    "scheduled_departure": "2013-01-01T10:15:00Z",
    "departure_delay_min": 2,
    "scheduled_arrival_local": "08:19",
    "arrival_local": "08:30",
    "arrival_delay_min": 11,
    "air_time_min": 227,
    "distance_mi": 1400,
    "status": "arrived",
    "version": 1,
}


class FlightOut(BaseModel):
    """A flight as lists show it."""

    model_config = ConfigDict(from_attributes=True, json_schema_extra={"examples": [EXAMPLE]})

    id: int
    date: dt.date = Field(description="Local day of the scheduled departure.")
    carrier: str
    number: int
    tail_number: str | None
    origin: str
    destination: str
    scheduled_departure: dt.datetime
    departure_delay_min: int | None = Field(description=f"Departure delay {MINUTES}; null when unknown or cancelled.")
    scheduled_arrival_local: str = Field(description="Wall clock at the destination, HH:MM.")
    arrival_local: str | None
    arrival_delay_min: int | None = Field(description=f"Arrival delay {MINUTES}.")
    air_time_min: int | None
    distance_mi: int
    status: Status
    version: int = Field(description="Counts the status updates, from 1.")


class FlightDetail(FlightOut):
    """A flight with everything that is known about it."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE | {"source_record": {"flight": "1545"}}]})

    source_record: Annotated[dict[str, str], BeforeValidator(json.loads)] = Field(
        description="The row as the source published it; updates do not change it."
    )


FIELDS = tuple(FlightOut.model_fields)


class FlightPage(BaseModel):
    """Flights in the order that was asked for."""

    model_config = ConfigDict(from_attributes=True)

    items: list[FlightOut]
    next: str | None = Field(description="The `cursor` of the next page; null after the last one.")


def _known_fields(text: str) -> str:
    names = text.split(",")
    unknown = [name for name in names if name not in FIELDS]
    if unknown:
        raise PydanticCustomError(
            "fields",
            "no such field: {unknown}",
            {"unknown": ", ".join(repr(name[:40]) for name in unknown[:5]), "allowed": ",".join(FIELDS)},
        )
    return text


Sort = Literal["scheduled_departure", "-scheduled_departure", "departure_delay_min", "-departure_delay_min"]


class FlightFilter(Parameters):
    """Which flights; every filter that is given has to match."""

    origin: AirportCode | None = Field(None, description="FAA code of the airport left from.", examples=["JFK"])
    destination: AirportCode | None = Field(None, description="FAA code of the airport flown to.")
    carrier: CarrierCode | None = Field(None, description="Two-letter code of the airline.")
    date_from: Day | None = Field(None, description="First local day, YYYY-MM-DD.")
    date_to: Day | None = Field(None, description="Last local day, YYYY-MM-DD, included.")
    min_delay_min: int | None = Field(
        None, ge=-1440, le=10_080, description="Only flights that left at least this late, in minutes."
    )
    status: Status | None = Field(None, description="Only flights in this state.")

    @model_validator(mode="after")
    def _days_in_order(self) -> Self:
        if self.date_from and self.date_to and self.date_from > self.date_to:
            raise PydanticCustomError(
                "date_range", "date_from is after date_to", {"allowed": "date_from on or before date_to"}
            )
        return self


class FlightQuery(FlightFilter):
    """Filters, order and page of the flight list."""

    sort: Sort = Field(
        "scheduled_departure", description="Order; `-` is descending. Unknown delays come last both ways."
    )
    limit: int | None = Field(
        None,
        ge=1,
        le=500,
        description="Flights in the answer; 100 by default. A process without `pagination` answers all by default.",
    )
    cursor: str | None = Field(None, min_length=1, max_length=200, description="`next` of the page before.")
    fields: Annotated[str, AfterValidator(_known_fields)] | None = Field(
        None,
        max_length=400,
        description="Comma list of the fields wanted of each flight. A process without `slim_responses` answers all.",
        examples=["id,origin,destination,departure_delay_min"],
    )

    @property
    def wanted(self) -> frozenset[str] | None:
        """The names in `fields`, or none when everything is wanted."""
        return frozenset(self.fields.split(",")) if self.fields is not None else None


class StatusUpdate(BaseModel):
    """A new state of a flight."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"status": "departed", "departure_delay_min": 12}]}
    )

    status: Status
    departure_delay_min: Annotated[int, Field(strict=True, ge=-1440, le=10_080)] | None = Field(
        None, description=f"New departure delay {MINUTES}; left out, it stays. A cancelled flight has none."
    )

    @model_validator(mode="after")
    def _cancelled_has_no_delay(self) -> Self:
        if self.status is Status.CANCELLED and self.departure_delay_min is not None:
            raise PydanticCustomError(
                "cancelled_delay",
                "a cancelled flight has no departure delay",
                {"allowed": "no departure_delay_min, or null"},
            )
        return self

    def delay_after(self, before: int | None) -> int | None:
        """Return the departure delay after this update of a flight that had `before`."""
        if self.status is Status.CANCELLED:
            return None
        return self.departure_delay_min if "departure_delay_min" in self.model_fields_set else before
