"""The requests and responses of the flight routes."""

import datetime as dt
import json
from enum import StrEnum
from typing import Annotated, Literal, Self

from fastapi import Path
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from service.api.parameters import AirportCode, CarrierCode, Day, Parameters

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


FlightId = Annotated[int, Path(description="Id of the flight.", examples=[1])]


class Status(StrEnum):
    """The state of a flight. Any state may follow any other: feeds correct themselves."""

    SCHEDULED = "scheduled"
    BOARDING = "boarding"
    DEPARTED = "departed"
    ARRIVED = "arrived"
    DIVERTED = "diverted"
    CANCELLED = "cancelled"
    """Never departed, so without a departure delay."""


class FlightOut(BaseModel):
    """A flight of a list."""

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
    scheduled_arrival_local: str = Field(description="Local time at the destination, HH:MM.")
    arrival_local: str | None
    arrival_delay_min: int | None = Field(description=f"Arrival delay {MINUTES}.")
    air_time_min: int | None
    distance_mi: int
    status: Status
    version: int = Field(description="1, plus 1 for every status update.")


class FlightDetail(FlightOut):
    """A flight with its source record."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE | {"source_record": {"flight": "1545"}}]})

    source_record: Annotated[dict[str, str], BeforeValidator(json.loads)] = Field(
        description="The row of the source data; status updates do not change it."
    )


FIELDS = tuple(FlightOut.model_fields)


class FlightPage(BaseModel):
    """A page of the flight list."""

    model_config = ConfigDict(from_attributes=True)

    items: list[FlightOut]
    next: str | None = Field(description="The `cursor` of the next page; null on the last page.")


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
    """Filters of flights; a flight has to match all that are given."""

    origin: AirportCode | None = Field(None, description="FAA code of the departure airport.", examples=["JFK"])
    destination: AirportCode | None = Field(None, description="FAA code of the destination.")
    carrier: CarrierCode | None = Field(None, description="Two-letter code of the airline.")
    date_from: Day | None = Field(None, description="First local day, YYYY-MM-DD.")
    date_to: Day | None = Field(None, description="Last local day, YYYY-MM-DD, inclusive.")
    min_delay_min: int | None = Field(None, ge=-1440, le=10_080, description="Minimum departure delay, in minutes.")
    status: Status | None = Field(None, description="Only flights in this state.")

    @model_validator(mode="after")
    def _days_in_order(self) -> Self:
        if self.date_from and self.date_to and self.date_from > self.date_to:
            raise PydanticCustomError(
                "date_range", "date_from is after date_to", {"allowed": "date_from on or before date_to"}
            )
        return self


class FlightQuery(FlightFilter):
    """Filters, order, page and fields of the flight list."""

    sort: Sort = Field(
        "scheduled_departure", description="Order; `-` is descending. Unknown delays come last in both orders."
    )
    limit: int | None = Field(
        None,
        ge=1,
        le=500,
        description="Maximum number of flights; default 100, without the technique `pagination` all.",
    )
    cursor: str | None = Field(None, min_length=1, max_length=200, description="`next` of the previous page.")
    fields: Annotated[str, AfterValidator(_known_fields)] | None = Field(
        None,
        max_length=400,
        description="Comma-separated fields of each flight. Ignored without the technique `slim_responses`.",
        examples=["id,origin,destination,departure_delay_min"],
    )

    @property
    def selected_fields(self) -> frozenset[str] | None:
        """The names in `fields`, None for all."""
        return frozenset(self.fields.split(",")) if self.fields is not None else None


class StatusUpdate(BaseModel):
    """A new status of a flight, and optionally its new departure delay."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"status": "departed", "departure_delay_min": 12}]}
    )

    status: Status
    departure_delay_min: Annotated[int, Field(strict=True, ge=-1440, le=10_080)] | None = Field(
        None, description=f"New departure delay {MINUTES}; omitted, it stays as it is. Not for a cancelled flight."
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
        """Return the departure delay after this update, given the one before it."""
        if self.status is Status.CANCELLED:
            return None
        return self.departure_delay_min if "departure_delay_min" in self.model_fields_set else before
