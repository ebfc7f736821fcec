from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from service.itineraries.leg import ACROSS_TOWN_MIN, SAME_AIRPORT_MIN
from service.techniques import NAMES
from tests.servers.arm import Arm, arm_settings, running_arm


@pytest.fixture(scope="module", params=["all", "all but offload"])
def arm(request: pytest.FixtureRequest, few_flights: Path) -> Iterator[Arm]:
    techniques = frozenset(NAMES) - ({"offload"} if request.param == "all but offload" else set())
    with running_arm(arm_settings(techniques, few_flights)) as arm:
        yield arm


def itineraries(arm: Arm, origin: str, destination: str, day: str = "2013-07-01") -> list[dict[str, Any]]:
    response = arm.client.get(f"/itineraries?origin={origin}&destination={destination}&date={day}")
    assert response.status_code == 200, response.text
    items: list[dict[str, Any]] = response.json()["items"]
    return items


def test_every_nonstop_flight_of_the_day_is_listed_or_dominated(arm: Arm) -> None:
    board = arm.client.get("/flights?origin=JFK&destination=LAX&date_from=2013-07-01&date_to=2013-07-01").json()[
        "items"
    ]
    flights = [flight for flight in board if flight["status"] != "cancelled"]

    found = itineraries(arm, "JFK", "LAX")

    assert len(flights) > 20
    assert all(len(item["legs"]) == 1 for item in found)
    listed = {item["legs"][0]["flight_id"] for item in found}
    assert listed <= {flight["id"] for flight in flights}
    departures = [datetime.fromisoformat(item["departure"]) for item in found]
    for flight in flights:
        left = datetime.fromisoformat(flight["scheduled_departure"])
        assert flight["id"] in listed or max(departures) >= left


def test_connections_take_at_least_their_minimum_time(arm: Arm) -> None:
    found = itineraries(arm, "BOS", "LAX") + itineraries(arm, "MIA", "SEA") + itineraries(arm, "LGA", "SFO")

    assert any(len(item["legs"]) == 2 for item in found)
    assert any(leg["inferred"] for item in found for leg in item["legs"])
    for item in found:
        assert item["duration_min"] > 0
        for first, second, wait in zip(item["legs"], item["legs"][1:], item["waits_min"], strict=False):
            at, on = first["destination"], second["origin"]
            assert wait >= (SAME_AIRPORT_MIN if at == on else ACROSS_TOWN_MIN[frozenset({at, on})])
            waited = datetime.fromisoformat(second["departure"]) - datetime.fromisoformat(first["arrival"])
            assert waited.total_seconds() == wait * 60


def test_airports_missing_in_the_reference_table_have_their_local_time(arm: Arm) -> None:
    found = itineraries(arm, "JFK", "SJU")

    assert found
    assert all(item["arrival"].endswith("-04:00") for item in found)


def test_itineraries_depart_on_the_requested_local_day(arm: Arm) -> None:
    for origin in ("BOS", "MIA", "JFK"):
        assert {item["departure"][:10] for item in itineraries(arm, origin, "LAX")} <= {"2013-07-01"}


def test_a_day_without_flights_has_no_itineraries(arm: Arm) -> None:
    assert itineraries(arm, "JFK", "LAX", "2014-07-01") == []


@pytest.mark.parametrize(
    ("query", "status", "text"),
    [
        ("origin=JFK&destination=JFK&date=2013-07-01", 422, "two different airports"),
        ("origin=JFK&destination=ZZZ&date=2013-07-01", 404, "ZZZ"),
        ("origin=jfk&destination=LAX&date=2013-07-01", 422, "origin"),
        ("origin=JFK&destination=LAX", 422, "date"),
        ("origin=JFK&destination=LAX&date=0001-01-01", 422, "2000-01-01"),
        ("origin=JFK&destination=LAX&date=9999-12-31", 422, "2099-12-31"),
        ("origin=JFK&destination=LAX&date=2013-07-01&legs=9", 422, "unknown parameter"),
    ],
)
def test_an_invalid_search_is_rejected(arm: Arm, query: str, status: int, text: str) -> None:
    response = arm.client.get(f"/itineraries?{query}")

    assert response.status_code == status
    assert text in response.text


def test_the_wait_for_a_thread_is_measured(few_flights: Path) -> None:
    with running_arm(arm_settings({"offload"}, few_flights)) as arm:
        itineraries(arm, "BOS", "LAX")

        assert arm.registry.get_sample_value("thread_limiter_wait_seconds_count", {"limiter": "offload"}) == 1
        assert arm.registry.get_sample_value("thread_limiter_limit_threads", {"limiter": "offload"}) == 2
