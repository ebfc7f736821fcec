"""The search: every itinerary that no other one beats, by a scan of the timetable from its end.

The connection scan algorithm (Dibbelt, Pajor, Strasser, Wagner: Connection Scan Algorithm, 2018), in its profile form,
with the number of legs as a third criterion.
"""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from service.itineraries.connection import onward
from service.itineraries.leg import Leg

MOST_LEGS: Final = 3

Itinerary = tuple[Leg, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Journey:
    """What is searched: from where to where, leaving in a span of minutes since 1970, the end excluded."""

    origin: str
    destination: str
    earliest_min: int
    latest_min: int


@dataclass(slots=True)
class Profile:
    """For one airport: the ways to the destination that no other one beats, the latest departure first."""

    departures: list[int] = field(default_factory=list)
    """Departures, negated, so that they ascend."""
    itineraries: list[Itinerary] = field(default_factory=list)

    def best(self, ready_min: int) -> Itinerary | None:
        """Return the itinerary that arrives first of those that leave at `ready_min` or later."""
        index = bisect_right(self.departures, -ready_min)
        return self.itineraries[index - 1] if index else None

    def add(self, itinerary: Itinerary) -> None:
        """Keep an itinerary that leaves no later than all others, unless one of them arrives as early."""
        if self.itineraries and self.itineraries[-1][-1].arrival_min <= itinerary[-1].arrival_min:
            return
        self.departures.append(-itinerary[0].departure_min)
        self.itineraries.append(itinerary)


def best_itineraries(legs: Iterable[Leg], journey: Journey) -> list[Itinerary]:
    """Return the itineraries, in order of departure, that no other beats: later, sooner there and with no more legs."""
    useful = [leg for leg in legs if _is_useful(leg, journey)]
    useful.sort(key=lambda leg: (-leg.departure_min, leg.arrival_min, leg.number is None, leg.carrier, leg.flight_id))
    exits = {airport: onward(airport) for airport in {leg.destination for leg in useful}}
    # levels[n] holds, by airport, the profiles of itineraries with n + 1 legs.
    levels: list[dict[str, Profile]] = [{} for _ in range(MOST_LEGS)]
    for leg in useful:
        if leg.destination == journey.destination:
            levels[0].setdefault(leg.origin, Profile()).add((leg,))
            continue
        ways_on = [(airport, leg.arrival_min + minutes) for airport, minutes in exits[leg.destination]]
        for shorter, level in pairwise(levels):
            onwards = [
                rest
                for airport, ready_min in ways_on
                if (profile := shorter.get(airport)) is not None and (rest := profile.best(ready_min)) is not None
            ]
            if onwards:
                quickest = min(onwards, key=lambda rest: rest[-1].arrival_min)
                level.setdefault(leg.origin, Profile()).add((leg, *quickest))
    found = {
        _merits(itinerary): itinerary
        for level in levels
        if journey.origin in level
        for itinerary in level[journey.origin].itineraries
    }
    unbeaten = [merits for merits in found if not any(_beats(other, merits) for other in found)]
    return [found[merits] for merits in sorted(unbeaten)]


Merits = tuple[int, int, int]
"""Departure, arrival and number of legs; the latter two negated, so that more of each is better."""


def _merits(itinerary: Itinerary) -> Merits:
    return itinerary[0].departure_min, -itinerary[-1].arrival_min, -len(itinerary)


def _beats(one: Merits, other: Merits) -> bool:
    return one != other and all(mine >= theirs for mine, theirs in zip(one, other, strict=True))


def _is_useful(leg: Leg, journey: Journey) -> bool:
    """Return whether an itinerary may contain the leg: none comes back to its start or goes on from its end."""
    if leg.destination == journey.origin or leg.origin == journey.destination:
        return False
    if leg.origin == journey.origin:
        return journey.earliest_min <= leg.departure_min < journey.latest_min
    return leg.departure_min >= journey.earliest_min
