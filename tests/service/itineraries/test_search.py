from itertools import pairwise, permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from service.itineraries.connection import ACROSS_TOWN_MIN, SAME_AIRPORT_MIN, onward
from service.itineraries.leg import Leg
from service.itineraries.search import MOST_LEGS, Itinerary, Journey, best_itineraries

AIRPORTS = ("EWR", "JFK", "LGA", "BOS", "MIA", "ORD")


def leg(origin: str, destination: str, departure: int, arrival: int, *, flight_id: int = 1) -> Leg:
    return Leg(
        origin=origin,
        destination=destination,
        departure_min=departure,
        arrival_min=arrival,
        carrier="B6",
        flight_id=flight_id,
        number=flight_id,
    )


def journey(origin: str, destination: str, earliest: int = 0, latest: int = 1440) -> Journey:
    return Journey(origin=origin, destination=destination, earliest_min=earliest, latest_min=latest)


def connects(first: Leg, second: Leg) -> bool:
    wait = second.departure_min - first.arrival_min
    if first.destination == second.origin:
        return wait >= SAME_AIRPORT_MIN
    across = ACROSS_TOWN_MIN.get(frozenset({first.destination, second.origin}))
    return across is not None and wait >= across


def every_itinerary(legs: list[Leg], wanted: Journey) -> list[Itinerary]:
    """Return every sequence of legs that is an itinerary: the definition, tried on all of them."""
    return [
        itinerary
        for count in range(1, MOST_LEGS + 1)
        for itinerary in permutations(legs, count)
        if itinerary[0].origin == wanted.origin
        and itinerary[-1].destination == wanted.destination
        and wanted.earliest_min <= itinerary[0].departure_min < wanted.latest_min
        and all(connects(one, two) for one, two in pairwise(itinerary))
        and not any(wanted.origin in (one.destination, two.origin) for one, two in pairwise(itinerary))
        and not any(one.origin == wanted.destination for one in itinerary)
    ]


def merits(itinerary: Itinerary) -> tuple[int, int, int]:
    return itinerary[0].departure_min, itinerary[-1].arrival_min, len(itinerary)


def is_beaten(itinerary: Itinerary, by: list[Itinerary]) -> bool:
    departure, arrival, count = merits(itinerary)
    return any(
        other[0].departure_min >= departure
        and other[-1].arrival_min <= arrival
        and len(other) <= count
        and merits(other) != merits(itinerary)
        for other in by
    )


@st.composite
def timetables(draw: st.DrawFn) -> list[Leg]:
    legs = []
    for flight_id in range(draw(st.integers(3, 14))):
        origin, destination = draw(st.permutations(AIRPORTS))[:2]
        departure = draw(st.integers(0, 20)) * 60
        legs.append(leg(origin, destination, departure, departure + draw(st.integers(1, 8)) * 45, flight_id=flight_id))
    return legs


@settings(max_examples=300, deadline=None)
@given(timetables(), st.permutations(AIRPORTS), st.integers(0, 10), st.integers(11, 24))
def test_the_search_finds_what_trying_everything_finds(
    legs: list[Leg], airports: list[str], earliest_h: int, latest_h: int
) -> None:
    wanted = journey(airports[0], airports[1], earliest_h * 60, latest_h * 60)
    possible = every_itinerary(legs, wanted)

    found = best_itineraries(legs, wanted)

    assert set(found) <= set(possible), "every itinerary found can be flown"
    unbeaten = {merits(itinerary) for itinerary in possible if not is_beaten(itinerary, possible)}
    assert {merits(itinerary) for itinerary in found} == unbeaten
    assert len(found) == len(unbeaten)


@settings(deadline=None)
@given(timetables(), st.randoms())
def test_the_order_of_the_timetable_does_not_matter(legs: list[Leg], random: object) -> None:
    shuffled = list(legs)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis types it so

    assert best_itineraries(shuffled, journey("JFK", "MIA")) == best_itineraries(legs, journey("JFK", "MIA"))


def test_a_connection_needs_its_time_to_the_minute() -> None:
    arrival = leg("BOS", "JFK", 60, 120)
    missed = leg("JFK", "MIA", 120 + SAME_AIRPORT_MIN - 1, 400, flight_id=2)
    caught = leg("JFK", "MIA", 120 + SAME_AIRPORT_MIN, 420, flight_id=3)

    assert best_itineraries([arrival, missed, caught], journey("BOS", "MIA")) == [(arrival, caught)]


def test_changing_to_another_airport_of_the_city_takes_longer() -> None:
    arrival = leg("BOS", "LGA", 60, 120)
    too_early = leg("JFK", "MIA", 120 + SAME_AIRPORT_MIN, 400, flight_id=2)
    caught = leg("JFK", "MIA", 120 + ACROSS_TOWN_MIN[frozenset({"LGA", "JFK"})], 500, flight_id=3)

    assert best_itineraries([arrival, too_early, caught], journey("BOS", "MIA")) == [(arrival, caught)]


def test_elsewhere_there_is_no_changing_of_airports() -> None:
    assert onward("BOS") == (("BOS", SAME_AIRPORT_MIN),)


def test_a_quicker_way_with_more_legs_and_a_slower_one_with_fewer_are_both_told() -> None:
    direct = leg("JFK", "MIA", 60, 600)
    first, second = leg("JFK", "ORD", 60, 150, flight_id=2), leg("ORD", "MIA", 200, 400, flight_id=3)

    assert best_itineraries([direct, first, second], journey("JFK", "MIA")) == [(direct,), (first, second)]
