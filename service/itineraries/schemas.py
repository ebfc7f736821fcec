"""What the itinerary search is asked and answers."""

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
    """From where to where, and when."""

    origin: AirportCode = Field(description="FAA code of the airport to leave from.", examples=["BOS"])
    destination: AirportCode = Field(description="FAA code of the airport to get to.", examples=["LAX"])
    date: Day = Field(
        ge=dt.date(2000, 1, 1),
        le=dt.date(2099, 12, 31),
        description="Local day of the departure, YYYY-MM-DD.",
        examples=["2013-07-10"],
    )

    @model_validator(mode="after")
    def _somewhere_else(self) -> Self:
        if self.origin == self.destination:
            raise PydanticCustomError(
                "same_airport", "origin and destination are the same", {"allowed": "two different airports"}
            )
        return self


class LegOut(BaseModel):
    """One flight of an itinerary, at its scheduled times, in the local time of each airport."""

    origin: str
    destination: str
    departure: dt.datetime
    arrival: dt.datetime
    carrier: str
    number: int | None = Field(description="Flight number; null for an inferred return.")
    flight_id: int = Field(description="The flight; of an inferred return, the flight out that the aircraft came from.")
    inferred: bool = Field(
        description="The data has departures from New York only. This leg is a return that the same aircraft must "
        "have flown between two of them; its times are the latest that were possible."
    )

    @classmethod
    def of(cls, leg: Leg, zones: Mapping[str, str]) -> Self:
        """Return the leg in local times."""
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
    """Flights one after the other, with enough time in between."""

    departure: dt.datetime
    arrival: dt.datetime
    duration_min: int
    waits_min: list[int] = Field(description="Minutes between the legs, the way to another airport included.")
    legs: list[LegOut]

    @classmethod
    def of(cls, itinerary: Itinerary, zones: Mapping[str, str]) -> Self:
        """Return the itinerary in local times."""
        legs = [LegOut.of(leg, zones) for leg in itinerary]
        return cls(
            departure=legs[0].departure,
            arrival=legs[-1].arrival,
            duration_min=itinerary[-1].arrival_min - itinerary[0].departure_min,
            waits_min=[after.departure_min - before.arrival_min for before, after in pairwise(itinerary)],
            legs=legs,
        )


class Itineraries(BaseModel):
    """The itineraries of a day that no other one beats, in order of departure."""

    origin: str
    destination: str
    date: dt.date
    items: list[ItineraryOut]
