import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.flights.schemas import FIELDS
from tests.servers.arm import Arm, arm_settings, running_arm
from tests.service.rows import rows

FULL = "indexes,pooling,pagination"
SLIM = f"{FULL},slim_responses"


@pytest.fixture(scope="module")
def full(few_flights: Path) -> Iterator[Arm]:
    with running_arm(arm_settings(FULL, few_flights)) as arm:
        yield arm


@pytest.fixture(scope="module")
def slim(few_flights: Path) -> Iterator[Arm]:
    with running_arm(arm_settings(SLIM, few_flights)) as arm:
        yield arm


@pytest.mark.parametrize(
    ("query", "condition"),
    [
        ("origin=JFK", "origin = 'JFK'"),
        ("destination=BQN", "destination = 'BQN'"),
        ("carrier=HA", "carrier = 'HA'"),
        ("date_from=2013-02-01", "date >= '2013-02-01'"),
        ("date_to=2013-01-01", "date <= '2013-01-01'"),
        ("date_from=2013-01-02&date_to=2013-01-02", "date = '2013-01-02'"),
        ("min_delay_min=0", "departure_delay_min >= 0"),
        ("min_delay_min=-1440", "departure_delay_min IS NOT NULL"),
        ("status=cancelled", "status = 'cancelled'"),
        (
            "origin=EWR&status=diverted&min_delay_min=9",
            "origin = 'EWR' AND status = 'diverted' AND departure_delay_min >= 9",
        ),
        ("origin=LAX", "0"),
    ],
)
def test_a_filter_keeps_exactly_the_flights_that_match(
    full: Arm, few_flights: Path, query: str, condition: str
) -> None:
    statement = f"SELECT id FROM flights WHERE {condition} ORDER BY scheduled_departure, id"  # noqa: S608 ours
    wanted = rows(few_flights, statement)

    found: list[int] = []
    address: str | None = f"/flights?{query}&limit=500"
    while address:
        page = full.client.get(address).json()
        found += [item["id"] for item in page["items"]]
        address = page["next"] and f"/flights?{query}&limit=500&cursor={page['next']}"

    assert found == [row["id"] for row in wanted]


def test_a_flight_is_returned_as_stored(full: Arm, few_flights: Path) -> None:
    for flight in rows(few_flights, "SELECT * FROM flights WHERE id % 97 = 1"):
        response = full.client.get(f"/flights/{flight['id']}").json()

        wanted = {name: flight[name] for name in FIELDS}
        wanted["scheduled_departure"] = flight["scheduled_departure"].replace(" ", "T").partition(".")[0] + "Z"
        wanted["source_record"] = json.loads(flight["source_record"])
        assert response == wanted


def test_lists_have_every_field_but_the_source_record(full: Arm) -> None:
    [item] = full.client.get("/flights?limit=1").json()["items"]

    assert list(item) == list(FIELDS)


def test_sparse_responses_omit_nulls_and_nothing_else(full: Arm, slim: Arm) -> None:
    address = "/flights?status=cancelled&limit=40"
    everything, short = full.client.get(address).json(), slim.client.get(address).json()

    def with_a_value(item: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in item.items() if value is not None}

    assert short["items"] == [with_a_value(item) for item in everything["items"]]
    assert short["items"] != everything["items"]
    assert short["next"] == everything["next"]


def test_sparse_responses_have_the_selected_fields_and_full_responses_have_all(full: Arm, slim: Arm) -> None:
    address = "/flights?limit=3&fields=id,origin"
    everything, short = full.client.get(address).json(), slim.client.get(address).json()

    assert [list(item) for item in short["items"]] == [["id", "origin"]] * 3
    assert short["next"] == everything["next"]
    assert [list(item) for item in everything["items"]] == [list(FIELDS)] * 3


def test_without_pagination_a_list_is_complete_unless_a_limit_is_given(few_flights: Path) -> None:
    with running_arm(arm_settings("indexes,pooling,deferred_columns", few_flights)) as arm:
        everything = arm.client.get("/flights").json()
        page = arm.client.get("/flights?limit=7").json()
        rest = arm.client.get(f"/flights?cursor={page['next']}").json()

    assert len(everything["items"]) == len(rows(few_flights, "SELECT id FROM flights"))
    assert everything["next"] is None
    assert page["items"] + rest["items"] == everything["items"]
