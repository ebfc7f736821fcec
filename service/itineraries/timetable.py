"""The timetable of some days: the flights from New York, and inferred returns.

The data has departures from New York only, but an aircraft that departs there twice has returned in between. If the
time between two departures of one tail number suffices for a turnaround, the return and another turnaround, and leaves
no time for anything else, the aircraft returned directly. The return gets the latest possible times: it arrives one
turnaround before the next departure, and takes as long as the outbound flight is scheduled. Every connection to such a
return was possible; others that were possible are missing.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import pairwise
from typing import Final, NamedTuple

from service.itineraries.leg import Leg
from service.itineraries.zones import next_wall_clock

TURNAROUND_MIN: Final = 30
"""Minimum time on the ground between two flights of an aircraft."""

MAX_IDLE_MIN: Final = 180
"""With more time than this beyond the return and two turnarounds, the aircraft may have flown elsewhere."""


class ScheduledFlight(NamedTuple):
    """The columns of a flight that the timetable reads."""

    id: int
    carrier: str
    number: int
    tail_number: str | None
    origin: str
    destination: str
    departure: datetime
    """Scheduled; aware."""
    arrival_clock: str
    """Scheduled, HH:MM at the destination."""


class Departure(NamedTuple):
    """A departure of an aircraft from New York, sortable by time."""

    departure_min: int
    flight_id: int
    origin: str
    leg: Leg | None
    """None if the arrival is unknown, because the destination has no time zone."""


def timetable(flights: Iterable[ScheduledFlight], zones: Mapping[str, str]) -> list[Leg]:
    """Return the legs of the flights and of the inferred returns, without flights to an airport of unknown zone."""
    legs = []
    by_aircraft: dict[str, list[Departure]] = {}
    for flight in flights:
        departure_min = int(flight.departure.timestamp()) // 60
        leg = _leg(flight, departure_min, zones)
        if leg is not None:
            legs.append(leg)
        if flight.tail_number is not None:
            departure = Departure(departure_min, flight.id, flight.origin, leg)
            by_aircraft.setdefault(flight.tail_number, []).append(departure)
    for rotation in by_aircraft.values():
        rotation.sort(key=lambda departure: departure[:2])
        legs += (
            leg for one, following in pairwise(rotation) if (leg := _inferred_return(one.leg, following)) is not None
        )
    return legs


def _leg(flight: ScheduledFlight, departure_min: int, zones: Mapping[str, str]) -> Leg | None:
    zone = zones.get(flight.destination)
    if zone is None:
        return None
    return Leg(
        origin=flight.origin,
        destination=flight.destination,
        departure_min=departure_min,
        arrival_min=next_wall_clock(zone, departure_min, flight.arrival_clock),
        carrier=flight.carrier,
        flight_id=flight.id,
        number=flight.number,
    )


def _inferred_return(outbound: Leg | None, next_departure: Departure) -> Leg | None:
    """Return the inferred return between two departures, None if it is not certain."""
    if outbound is None:
        return None
    arrival_min = next_departure.departure_min - TURNAROUND_MIN
    departure_min = arrival_min - (outbound.arrival_min - outbound.departure_min)
    idle_min = departure_min - (outbound.arrival_min + TURNAROUND_MIN)
    if not 0 <= idle_min <= MAX_IDLE_MIN:
        return None
    return Leg(
        origin=outbound.destination,
        destination=next_departure.origin,
        departure_min=departure_min,
        arrival_min=arrival_min,
        carrier=outbound.carrier,
        flight_id=outbound.flight_id,
        number=None,
    )
