from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from service.itineraries.leg import ACROSS_TOWN_MIN, SAME_AIRPORT_MIN, Leg, onward
from service.itineraries.search import Itinerary, Journey, best_itineraries

seeds = st.integers(0, 2**32)
AIRPORTS = ("EWR", "JFK", "LGA", "BOS", "MIA")


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
    """Return every itinerary by brute force, from the definition."""
    starts = [
        one
        for one in legs
        if one.origin == wanted.origin and wanted.earliest_min <= one.departure_min < wanted.latest_min
    ]
    growing: list[Itinerary] = [(one,) for one in starts]
    complete: list[Itinerary] = []
    for _ in range(3):
        complete += [itinerary for itinerary in growing if itinerary[-1].destination == wanted.destination]
        growing = [
            (*itinerary, one)
            for itinerary in growing
            for one in legs
            if connects(itinerary[-1], one)
            and wanted.origin not in {one.origin, one.destination, itinerary[-1].destination}
            and wanted.destination != one.origin
        ]
    return complete


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


def random_timetable(random: Random) -> list[Leg]:
    """Return a timetable on coarse times, so that connections, ties and detours are common."""
    legs = []
    for flight_id in range(random.randrange(8, 45)):
        origin, destination = random.sample(AIRPORTS, 2)
        departure = random.randrange(16) * 60
        arrival = departure + random.randrange(1, 6) * 60
        legs.append(leg(origin, destination, departure, arrival, flight_id=flight_id))
    return legs


@settings(max_examples=500, deadline=None)
@given(seeds)
def test_the_search_finds_what_brute_force_finds(seed: int) -> None:
    random = Random(seed)
    legs = random_timetable(random)
    airports = random.sample(AIRPORTS, 2)
    earliest_h, latest_h = random.randrange(4), random.randrange(5, 20)
    wanted = journey(airports[0], airports[1], earliest_h * 60, latest_h * 60)
    possible = every_itinerary(legs, wanted)

    found = best_itineraries(legs, wanted)

    assert set(found) <= set(possible), "every itinerary found can be flown"
    unbeaten = {merits(itinerary) for itinerary in possible if not is_beaten(itinerary, possible)}
    assert {merits(itinerary) for itinerary in found} == unbeaten
    assert [itinerary[0].departure_min for itinerary in found] == sorted(departure for departure, _, _ in unbeaten)


@settings(deadline=None)
@given(seeds)
def test_the_order_of_the_timetable_does_not_matter(seed: int) -> None:
    legs = random_timetable(Random(seed))
    shuffled = Random(seed).sample(legs, len(legs))

    assert best_itineraries(shuffled, journey("JFK", "MIA")) == best_itineraries(legs, journey("JFK", "MIA"))


def test_the_minimum_connection_time_is_exact_to_the_minute() -> None:
    arrival = leg("BOS", "JFK", 60, 120)
    missed = leg("JFK", "MIA", 120 + SAME_AIRPORT_MIN - 1, 400, flight_id=2)
    caught = leg("JFK", "MIA", 120 + SAME_AIRPORT_MIN, 420, flight_id=3)

    assert best_itineraries([arrival, missed, caught], journey("BOS", "MIA")) == [(arrival, caught)]


def test_changing_to_another_airport_of_the_city_takes_longer() -> None:
    arrival = leg("BOS", "LGA", 60, 120)
    too_early = leg("JFK", "MIA", 120 + SAME_AIRPORT_MIN, 400, flight_id=2)
    caught = leg("JFK", "MIA", 120 + ACROSS_TOWN_MIN[frozenset({"LGA", "JFK"})], 500, flight_id=3)

    assert best_itineraries([arrival, too_early, caught], journey("BOS", "MIA")) == [(arrival, caught)]


def test_only_the_airports_of_new_york_have_transfers() -> None:
    assert onward("BOS") == (("BOS", SAME_AIRPORT_MIN),)


def test_a_faster_itinerary_with_more_legs_and_a_slower_one_with_fewer_are_both_optimal() -> None:
    direct = leg("JFK", "MIA", 60, 600)
    first, second = leg("JFK", "ORD", 60, 150, flight_id=2), leg("ORD", "MIA", 200, 400, flight_id=3)

    assert best_itineraries([direct, first, second], journey("JFK", "MIA")) == [(direct,), (first, second)]


def test_no_itinerary_has_more_than_three_flights() -> None:
    chain = [
        leg(origin, destination, 100 * number, 100 * number + 50, flight_id=number)
        for number, (origin, destination) in enumerate([("MIA", "ORD"), ("ORD", "BOS"), ("BOS", "LGA"), ("LGA", "DEN")])
    ]

    assert best_itineraries(chain, journey("MIA", "LGA")) == [tuple(chain[:3])]
    assert best_itineraries(chain, journey("MIA", "DEN")) == []


def test_no_itinerary_returns_to_its_origin() -> None:
    there, back = leg("JFK", "BOS", 0, 50), leg("BOS", "JFK", 100, 150, flight_id=2)
    from_the_other_airport = leg("LGA", "MIA", 300, 400, flight_id=3)

    assert best_itineraries([there, back, from_the_other_airport], journey("JFK", "MIA")) == []


def test_no_itinerary_continues_from_its_destination() -> None:
    to_the_other_airport = leg("BOS", "LGA", 0, 50)
    away, back = leg("JFK", "MIA", 200, 300, flight_id=2), leg("MIA", "JFK", 400, 500, flight_id=3)

    assert best_itineraries([to_the_other_airport, away, back], journey("BOS", "JFK")) == []
