"""The search of Pareto-optimal itineraries: by departure, arrival and number of legs.

The profile variant of the connection scan algorithm, which scans the timetable from its end (Dibbelt, Pajor, Strasser,
Wagner: Connection Scan Algorithm, 2018), with the number of legs as a third criterion.
"""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from service.itineraries.leg import Leg, onward

MAX_LEGS: Final = 3

Itinerary = tuple[Leg, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Journey:
    """Two airports and a span of departures, in minutes since 1970, the end excluded."""

    origin: str
    destination: str
    earliest_min: int
    latest_min: int


@dataclass(slots=True)
class Profile:
    """The Pareto-optimal itineraries from one airport to the destination, latest departure first."""

    departures: list[int] = field(default_factory=list)
    """Negated departures, so that they ascend."""
    itineraries: list[Itinerary] = field(default_factory=list)

    def best(self, ready_min: int) -> Itinerary | None:
        """Return the itinerary with the earliest arrival that departs at `ready_min` or later."""
        index = bisect_right(self.departures, -ready_min)
        return self.itineraries[index - 1] if index else None

    def add(self, itinerary: Itinerary) -> None:
        """Add an itinerary, which departs no later than those before, unless one of them arrives as early."""
        if self.itineraries and self.itineraries[-1][-1].arrival_min <= itinerary[-1].arrival_min:
            return
        self.departures.append(-itinerary[0].departure_min)
        self.itineraries.append(itinerary)


def best_itineraries(legs: Iterable[Leg], journey: Journey) -> list[Itinerary]:
    """Return the Pareto-optimal itineraries in order of departure."""
    useful = [leg for leg in legs if _is_useful(leg, journey)]
    useful.sort(key=lambda leg: (-leg.departure_min, leg.arrival_min, leg.number is None, leg.carrier, leg.flight_id))
    exits = {airport: onward(airport) for airport in {leg.destination for leg in useful}}
    # levels[n] holds, by airport, the profiles of itineraries with n + 1 legs.
    levels: list[dict[str, Profile]] = [{} for _ in range(MAX_LEGS)]
    for leg in useful:
        if leg.destination == journey.destination:
            levels[0].setdefault(leg.origin, Profile()).add((leg,))
            continue
        exits_at = [(airport, leg.arrival_min + minutes) for airport, minutes in exits[leg.destination]]
        for shorter, level in pairwise(levels):
            continuations = [
                rest
                for airport, ready_min in exits_at
                if (profile := shorter.get(airport)) is not None and (rest := profile.best(ready_min)) is not None
            ]
            if continuations:
                fastest = min(continuations, key=lambda rest: rest[-1].arrival_min)
                level.setdefault(leg.origin, Profile()).add((leg, *fastest))
    found = {
        _criteria(itinerary): itinerary
        for level in levels
        if journey.origin in level
        for itinerary in level[journey.origin].itineraries
    }
    optimal = [criteria for criteria in found if not any(_dominates(other, criteria) for other in found)]
    return [found[criteria] for criteria in sorted(optimal)]


Criteria = tuple[int, int, int]
"""Departure, negated arrival and negated number of legs: of each, more is better."""


def _criteria(itinerary: Itinerary) -> Criteria:
    return itinerary[0].departure_min, -itinerary[-1].arrival_min, -len(itinerary)


def _dominates(one: Criteria, other: Criteria) -> bool:
    return one != other and all(mine >= theirs for mine, theirs in zip(one, other, strict=True))


def _is_useful(leg: Leg, journey: Journey) -> bool:
    """Return whether an itinerary may contain the leg: none returns to its origin or continues from its destination."""
    if leg.destination == journey.origin or leg.origin == journey.destination:
        return False
    if leg.origin == journey.origin:
        return journey.earliest_min <= leg.departure_min < journey.latest_min
    return leg.departure_min >= journey.earliest_min
