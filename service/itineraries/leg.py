"""Legs of an itinerary, and the minimum connection times between them."""

from dataclasses import dataclass
from typing import Final

SAME_AIRPORT_MIN: Final = 45

# By road, with bags and a second security check; rounded up from the advice of the airports.
ACROSS_TOWN_MIN: Final = {
    frozenset({"JFK", "LGA"}): 150,
    frozenset({"EWR", "LGA"}): 180,
    frozenset({"EWR", "JFK"}): 210,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """A flight, or an inferred return. Times are in minutes since 1970, UTC."""

    origin: str
    destination: str
    departure_min: int
    arrival_min: int
    carrier: str
    flight_id: int
    """The flight; for an inferred return, the outbound flight."""
    number: int | None
    """The flight number; None for an inferred return."""

    @property
    def is_inferred(self) -> bool:
        """Whether the leg is an inferred return."""
        return self.number is None


def onward(airport: str) -> tuple[tuple[str, int], ...]:
    """Return the airports of possible onward flights, each with the minimum connection time in minutes."""
    across = (
        (other, minutes)
        for pair, minutes in ACROSS_TOWN_MIN.items()
        if airport in pair
        for other in sorted(pair - {airport})
    )
    return ((airport, SAME_AIRPORT_MIN), *across)
