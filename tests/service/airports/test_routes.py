from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.airports.distance import great_circle_mi
from tests.servers.arm import Arm, arm_settings, running_arm
from tests.service.rows import rows


@pytest.fixture(scope="module")
def arm(few_flights: Path) -> Iterator[Arm]:
    with running_arm(arm_settings("indexes,pooling,eager_loading", few_flights)) as running:
        yield running


def test_a_board_has_every_flight_of_the_day_in_the_order_of_the_schedule(arm: Arm, few_flights: Path) -> None:
    board = arm.client.get("/airports/EWR/departures?date=2013-07-01").json()

    flights = rows(
        few_flights,
        "SELECT id FROM flights WHERE origin = 'EWR' AND date = '2013-07-01' ORDER BY scheduled_departure, id",
    )
    assert [item["id"] for item in board["items"]] == [flight["id"] for flight in flights]
    assert board["airport"]["faa"] == "EWR"
    assert board["date"] == "2013-07-01"


def test_a_board_has_the_related_objects_and_null_for_missing_ones(arm: Arm, few_flights: Path) -> None:
    tables: dict[str, dict[str, dict[str, Any]]] = {
        "airline": {row["carrier"]: row for row in rows(few_flights, "SELECT * FROM airlines")},
        "aircraft": {row["tail_number"]: row for row in rows(few_flights, "SELECT * FROM aircraft")},
        "destination_airport": {row["faa"]: row for row in rows(few_flights, "SELECT * FROM airports")},
    }
    items = [
        item
        for origin in ("EWR", "JFK", "LGA")
        for item in arm.client.get(f"/airports/{origin}/departures?date=2013-02-01").json()["items"]
    ]

    assert len(items) == len(rows(few_flights, "SELECT id FROM flights WHERE date = '2013-02-01'"))
    for item in items:
        assert item["airline"] == tables["airline"].get(item["carrier"])
        assert item["aircraft"] == tables["aircraft"].get(item["tail_number"] or "")
        assert item["destination_airport"] == tables["destination_airport"].get(item["destination"])
    assert sum(item["tail_number"] is None for item in items) > 0
    assert sum(item["tail_number"] is not None and item["aircraft"] is None for item in items) > 0
    assert sum(item["destination_airport"] is None for item in items) > 0


@pytest.mark.parametrize(
    "address", ["/airports/LAX/departures?date=2013-01-01", "/airports/JFK/departures?date=2014-01-01"]
)
def test_a_day_without_departures_is_an_empty_board(arm: Arm, address: str) -> None:
    response = arm.client.get(address)

    assert response.status_code == 200
    assert response.json()["items"] == []


def test_all_airports_and_airlines_are_listed_in_order(arm: Arm, few_flights: Path) -> None:
    airports = arm.client.get("/airports").json()["items"]

    assert airports == rows(few_flights, "SELECT * FROM airports ORDER BY faa")
    assert len(airports) == 1458
    assert arm.client.get("/airlines").json()["items"] == rows(few_flights, "SELECT * FROM airlines ORDER BY carrier")
    assert arm.client.get("/airports/JFK").json() in airports


def test_the_nearest_airports_are_the_nearest(arm: Arm, few_flights: Path) -> None:
    here, *_ = rows(few_flights, "SELECT * FROM airports WHERE faa = 'LGA'")
    others = rows(few_flights, "SELECT * FROM airports WHERE faa <> 'LGA'")

    def distance(other: dict[str, Any]) -> float:
        return great_circle_mi(here["latitude"], here["longitude"], other["latitude"], other["longitude"])

    response = arm.client.get("/airports/LGA/nearest?limit=7").json()

    wanted = sorted(others, key=distance)[:7]
    assert response["airport"]["faa"] == "LGA"
    assert response["items"] == [other | {"distance_mi": pytest.approx(distance(other), abs=0.05)} for other in wanted]
