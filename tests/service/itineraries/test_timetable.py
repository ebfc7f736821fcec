from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from service.itineraries.leg import Leg
from service.itineraries.timetable import MAX_IDLE_MIN, TURNAROUND_MIN, ScheduledFlight, timetable

MORNING = datetime(2013, 7, 10, 12, 0, tzinfo=UTC)  # 8:00 in New York
ZONES = {"BOS": "America/New_York", "DEN": "America/Denver"}


def flight(
    flight_id: int, leaves_min: int, arrives: str, *, tail: str | None = "N101", to: str = "BOS"
) -> ScheduledFlight:
    departure = MORNING + timedelta(minutes=leaves_min)
    return ScheduledFlight(flight_id, "B6", 100 + flight_id, tail, "JFK", to, departure, arrives)


def returns(*flights: ScheduledFlight) -> list[Leg]:
    return [leg for leg in timetable(flights, ZONES) if leg.is_inferred]


def test_a_flight_arrives_at_the_local_time_of_its_destination() -> None:
    (leg,) = timetable([flight(1, 0, "09:50", to="DEN")], ZONES)

    assert leg.arrival_min - leg.departure_min == (9 * 60 + 50) + 2 * 60 - 8 * 60
    assert (leg.number, leg.is_inferred) == (101, False)


def test_an_aircraft_that_departs_again_soon_has_an_inferred_return() -> None:
    out, again = flight(1, 0, "09:00"), flight(2, 180, "12:00")

    (back,) = returns(out, again)

    again_min = int(again.departure.timestamp()) // 60
    assert (back.origin, back.destination, back.flight_id, back.number) == ("BOS", "JFK", 1, None)
    assert back.arrival_min == again_min - TURNAROUND_MIN
    assert back.arrival_min - back.departure_min == 60


def test_the_limits_of_the_time_for_an_inferred_return_are_exact() -> None:
    shortest = 60 + TURNAROUND_MIN + 60 + TURNAROUND_MIN
    longest = shortest + MAX_IDLE_MIN

    for leaves_again, count in ((shortest - 1, 0), (shortest, 1), (longest, 1), (longest + 1, 0)):
        assert len(returns(flight(1, 0, "09:00"), flight(2, leaves_again, "18:00"))) == count


def test_flights_of_different_or_unknown_aircraft_have_no_inferred_return() -> None:
    assert returns(flight(1, 0, "09:00"), flight(2, 180, "12:00", tail="N102")) == []
    assert returns(flight(1, 0, "09:00", tail=None), flight(2, 180, "12:00", tail=None)) == []


def test_a_flight_to_an_airport_without_a_zone_is_left_out_and_prevents_an_inferred_return() -> None:
    legs = timetable([flight(1, 0, "09:00"), flight(3, 90, "10:00", to="XXX"), flight(2, 240, "13:00")], ZONES)

    assert [(leg.destination, leg.is_inferred) for leg in legs] == [("BOS", False), ("BOS", False)]


@given(st.lists(st.tuples(st.integers(0, 2000), st.sampled_from(["BOS", "DEN"])), max_size=8))
def test_no_aircraft_is_in_two_places_at_once(plans: list[tuple[int, str]]) -> None:
    flights = [
        flight(number, leaves_min, "20:00" if to == "DEN" else "10:00", to=to)
        for number, (leaves_min, to) in enumerate(plans)
    ]
    legs = timetable(flights, ZONES)
    out = {leg.flight_id: leg for leg in legs if not leg.is_inferred}
    departures = sorted(leg.departure_min for leg in out.values())

    for back in (leg for leg in legs if leg.is_inferred):
        way_out = out[back.flight_id]
        assert back.departure_min >= way_out.arrival_min + TURNAROUND_MIN
        assert back.arrival_min + TURNAROUND_MIN in departures
        assert not any(way_out.departure_min < other < back.arrival_min + TURNAROUND_MIN for other in departures)
