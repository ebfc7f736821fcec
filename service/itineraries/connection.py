"""Minimum connection times: how long it takes from one flight to the next, at one airport or across New York."""

from typing import Final

SAME_AIRPORT_MIN: Final = 45

# By road, with bags and a second security check. Rounded up from what the airports themselves advise.
ACROSS_TOWN_MIN: Final = {
    frozenset({"JFK", "LGA"}): 150,
    frozenset({"EWR", "LGA"}): 180,
    frozenset({"EWR", "JFK"}): 210,
}


def onward(airport: str) -> tuple[tuple[str, int], ...]:
    """Return the airports a traveller who arrives here can leave from, each with the minutes that takes at least."""
    across = (
        (other, minutes)
        for pair, minutes in ACROSS_TOWN_MIN.items()
        if airport in pair
        for other in sorted(pair - {airport})
    )
    return ((airport, SAME_AIRPORT_MIN), *across)
