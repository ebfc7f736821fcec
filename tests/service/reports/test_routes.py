"""The reports equal the same aggregates in plain Python."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from service.reports.queries import Counts, Route
from tests.servers.arm import Arm, arm_settings, running_arm
from tests.service.rows import rows

Flight = dict[str, Any]


@pytest.fixture(scope="module")
def arm(few_flights: Path) -> Iterator[Arm]:
    with running_arm(arm_settings("indexes,pooling", few_flights)) as running:
        yield running


@pytest.fixture(scope="module")
def flights(few_flights: Path) -> list[Flight]:
    return rows(few_flights, "SELECT * FROM flights")


@pytest.fixture(scope="module")
def names(few_flights: Path) -> dict[str, dict[str, str]]:
    return {
        "carrier": {row["carrier"]: row["name"] for row in rows(few_flights, "SELECT carrier, name FROM airlines")},
        "destination": {row["faa"]: row["name"] for row in rows(few_flights, "SELECT faa, name FROM airports")},
    }


def punctuality(group: list[Flight]) -> dict[str, Any]:
    """Return a report's columns over a group of flights, one flight at a time."""
    delays = [flight["departure_delay_min"] for flight in group if flight["departure_delay_min"] is not None]
    on_time = [delay for delay in delays if delay < 15]
    return {
        "flights": len(group),
        "cancelled": sum(flight["status"] == "cancelled" for flight in group),
        "diverted": sum(flight["status"] == "diverted" for flight in group),
        "departed": len(delays),
        "on_time": len(on_time),
        "long_delays": sum(delay >= 60 for delay in delays),
        "on_time_share": pytest.approx(len(on_time) / len(delays), abs=0.0000501) if delays else None,
        "mean_delay_min": pytest.approx(sum(delays) / len(delays), abs=0.00501) if delays else None,
    }


KEYS: dict[str, Callable[[Flight], str]] = {
    "carrier": lambda flight: str(flight["carrier"]),
    "month": lambda flight: str(flight["date"])[:7],
    "hour": lambda flight: f"{flight['hour']:02d}",
    "destination": lambda flight: str(flight["destination"]),
}


def grouped(flights: list[Flight], key: Callable[[Flight], Any]) -> dict[Any, list[Flight]]:
    groups: dict[Any, list[Flight]] = defaultdict(list)
    for flight in flights:
        groups[key(flight)].append(flight)
    return groups


@pytest.mark.parametrize("month", [None, "2013-01", "2013-07"])
@pytest.mark.parametrize("origin", [None, "JFK"])
@pytest.mark.parametrize("by", KEYS)
def test_a_delay_report_equals_the_counts_in_python(
    arm: Arm, flights: list[Flight], names: dict[str, dict[str, str]], by: str, origin: str | None, month: str | None
) -> None:
    parameters = {"by": by, "origin": origin, "month": month}
    counted = [
        flight for flight in flights if origin in {None, flight["origin"]} and month in {None, flight["date"][:7]}
    ]

    report = arm.client.get("/reports/delays", params={k: v for k, v in parameters.items() if v}).json()

    assert {key: report[key] for key in parameters} == parameters
    assert report["total"] == punctuality(counted)
    assert [row["key"] for row in report["items"]] == sorted({KEYS[by](flight) for flight in counted})
    for row in report["items"]:
        group = [flight for flight in counted if KEYS[by](flight) == row["key"]]
        assert row == punctuality(group) | {"key": row["key"], "name": names.get(by, {}).get(row["key"])}


def test_flights_to_airports_missing_in_the_reference_table_are_counted(arm: Arm, flights: list[Flight]) -> None:
    report = arm.client.get("/reports/delays?by=destination").json()

    unnamed = {row["key"]: row["flights"] for row in report["items"] if row["name"] is None}
    assert set(unnamed) == {"BQN", "PSE", "SJU", "STT"}
    assert sum(unnamed.values()) == sum(flight["destination"] in unnamed for flight in flights)
    assert report["total"]["flights"] == len(flights)


def test_a_report_without_flights_has_null_shares(arm: Arm) -> None:
    report = arm.client.get("/reports/delays?by=hour&month=2012-12").json()

    assert report["items"] == []
    assert report["total"] == punctuality([])


@pytest.mark.parametrize("query", ["", "?origin=LGA", "?month=2013-01", "?limit=3", "?limit=500"])
def test_routes_are_ranked_by_exact_share_and_then_by_flights(arm: Arm, flights: list[Flight], query: str) -> None:
    parameters = dict(part.split("=") for part in query[1:].split("&") if part)
    counted = [
        flight
        for flight in flights
        if parameters.get("origin") in {None, flight["origin"]}
        and flight["date"].startswith(parameters.get("month", ""))
    ]

    report = arm.client.get(f"/reports/routes{query}").json()

    assert report["minimum_flights"] == 30
    routes = grouped(counted, lambda flight: (flight["origin"], flight["destination"]))
    enough = {pair: punctuality(group) for pair, group in routes.items() if len(group) >= 30}

    def order(pair: tuple[str, str]) -> tuple[Fraction, int, tuple[str, str]]:
        columns = enough[pair]
        return -Fraction(columns["on_time"], columns["departed"]), -columns["flights"], pair

    wanted = sorted(enough, key=order)[: int(parameters.get("limit", 20))]
    assert len(wanted) > 1
    assert report["items"] == [
        {"rank": rank, "origin": pair[0], "destination": pair[1]} | enough[pair] for rank, pair in enumerate(wanted, 1)
    ]


def test_of_equal_routes_the_one_with_more_flights_is_first_and_one_without_departures_is_last() -> None:
    def route(destination: str, *, flights: int, on_time: int, departed: int) -> Route:
        return Route("JFK", destination, Counts(flights=flights, on_time=on_time, departed=departed))

    ranked = [
        route("SFO", flights=60, on_time=50, departed=60),
        route("BOS", flights=40, on_time=20, departed=40),
        route("ATL", flights=30, on_time=15, departed=30),
        route("LAX", flights=30, on_time=15, departed=30),
        route("SEA", flights=99, on_time=0, departed=0),
    ]

    assert sorted([ranked[place] for place in (4, 3, 0, 2, 1)], key=lambda one: one.order) == ranked
