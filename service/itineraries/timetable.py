"""The timetable of some days: the published flights out of New York, and the returns that must have been flown.

The data has departures from New York only. But an aircraft that leaves New York twice has come back in between. Where
the time between two departures of one tail number is enough for a turnaround, the way back and another turnaround, and
leaves too little for anything else, it came straight back. Such a return is taken at its latest: it arrives one
turnaround before the aircraft leaves again, and takes as long as the scheduled way out. A connection that this makes
possible was possible; some that were are missing.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import pairwise
from typing import Final, NamedTuple

from service.itineraries.leg import Leg
from service.itineraries.zones import next_wall_clock

TURNAROUND_MIN: Final = 30
"""The shortest time on the ground between two flights of an aircraft."""

LONGEST_IDLE_MIN: Final = 180
"""More than this beyond two turnarounds and the way back, and the aircraft may have been elsewhere."""


class ScheduledFlight(NamedTuple):
    """What the timetable needs of a flight that left."""

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
    """An aircraft leaves New York; in order of time."""

    departure_min: int
    flight_id: int
    origin: str
    leg: Leg | None
    """None where the flight's arrival is not known, for want of a time zone."""


def timetable(flights: Iterable[ScheduledFlight], zones: Mapping[str, str]) -> list[Leg]:
    """Return the flights as legs, and the returns between them; a flight to an airport of unknown zone is left out."""
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
        legs += (back for out, again in pairwise(rotation) if (back := _return(out.leg, again)) is not None)
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


def _return(out: Leg | None, again: Departure) -> Leg | None:
    """Return the leg that brought the aircraft back between two departures, or None where that is not certain."""
    if out is None:
        return None
    arrival_min = again.departure_min - TURNAROUND_MIN
    departure_min = arrival_min - (out.arrival_min - out.departure_min)
    idle_min = departure_min - (out.arrival_min + TURNAROUND_MIN)
    if not 0 <= idle_min <= LONGEST_IDLE_MIN:
        return None
    return Leg(
        origin=out.destination,
        destination=again.origin,
        departure_min=departure_min,
        arrival_min=arrival_min,
        carrier=out.carrier,
        flight_id=out.flight_id,
        number=None,
    )
