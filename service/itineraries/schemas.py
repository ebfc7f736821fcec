"""The request and response of the itinerary route."""

import datetime as dt
from collections.abc import Mapping
from itertools import pairwise
from typing import Self

from pydantic import BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError

from service.api.parameters import AirportCode, Day, Parameters
from service.itineraries.leg import Leg
from service.itineraries.search import Itinerary
from service.itineraries.zones import local_time


class ItineraryQuery(Parameters):
    """The airports and the day."""

    origin: AirportCode = Field(description="FAA code of the departure airport.", examples=["BOS"])
    destination: AirportCode = Field(description="FAA code of the destination.", examples=["LAX"])
    date: Day = Field(
        ge=dt.date(2000, 1, 1),
        le=dt.date(2099, 12, 31),
        description="Local day of the departure, YYYY-MM-DD.",
        examples=["2013-07-10"],
    )

    @model_validator(mode="after")
    def _different_airports(self) -> Self:
        if self.origin == self.destination:
            raise PydanticCustomError(
                "same_airport", "origin and destination are the same", {"allowed": "two different airports"}
            )
        return self


class LegOut(BaseModel):
    """One flight of an itinerary, with its scheduled times in the local time of each airport."""

    origin: str
    destination: str
    departure: dt.datetime
    arrival: dt.datetime
    carrier: str
    number: int | None = Field(description="Flight number; null for an inferred return.")
    flight_id: int = Field(description="Id of the flight; for an inferred return, of the outbound flight.")
    inferred: bool = Field(
        description="Whether the leg is an inferred return: the data has departures from New York only, and the "
        "same aircraft must have returned between two of them; its times are the latest possible ones."
    )

    @classmethod
    def of(cls, leg: Leg, zones: Mapping[str, str]) -> Self:
        return cls(
            origin=leg.origin,
            destination=leg.destination,
            departure=local_time(zones[leg.origin], leg.departure_min),
            arrival=local_time(zones[leg.destination], leg.arrival_min),
            carrier=leg.carrier,
            number=leg.number,
            flight_id=leg.flight_id,
            inferred=leg.is_inferred,
        )


class ItineraryOut(BaseModel):
    """Connecting flights."""

    departure: dt.datetime
    arrival: dt.datetime
    duration_min: int
    waits_min: list[int] = Field(description="Minutes between the legs, including a transfer to another airport.")
    legs: list[LegOut]

    @classmethod
    def of(cls, itinerary: Itinerary, zones: Mapping[str, str]) -> Self:
        legs = [LegOut.of(leg, zones) for leg in itinerary]
        return cls(
            departure=legs[0].departure,
            arrival=legs[-1].arrival,
            duration_min=itinerary[-1].arrival_min - itinerary[0].departure_min,
            waits_min=[after.departure_min - before.arrival_min for before, after in pairwise(itinerary)],
            legs=legs,
        )


class Itineraries(BaseModel):
    """The Pareto-optimal itineraries of a day, in order of departure."""

    origin: str
    destination: str
    date: dt.date
    items: list[ItineraryOut]
