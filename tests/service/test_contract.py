"""The same request to any arm gives the same data, whatever its techniques."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from service.app import create_app
from service.database import Database
from service.techniques import ARMS, NAMES
from service.upstream.app import create_upstream
from service.upstream.behaviour import Behaviour, FaultController
from service.upstream.connections import Connections
from service.upstream.readings import Readings, load_readings
from tests.servers.arm import QUIET, Arm, arm_settings, running_arm
from tests.servers.asgi import serving

REQUESTS = {
    "/livez": [""],
    "/readyz": [""],
    "/flights": [
        "?limit=3",
        "?origin=JFK&date_from=2013-01-01&date_to=2013-01-01&limit=500",
        "?origin=LGA&destination=ATL&carrier=DL&date_from=2013-07-01&limit=100",
        "?destination=SJU&limit=20",
        "?status=cancelled&sort=-scheduled_departure&limit=50",
        "?status=diverted&sort=departure_delay_min&limit=50",
        "?min_delay_min=120&sort=-departure_delay_min&limit=100",
        "?origin=EWR&date_to=2013-01-02&sort=departure_delay_min&limit=40",
        "?carrier=ZZ&limit=10",
        "?limit=25&fields=id,tail_number,departure_delay_min",
        "?limit=501",
        "?sort=number",
        "?cursor=nonsense",
        "?fields=id,source_record",
        "?unknown=1",
    ],
    "/flights/{flight_id}": ["10", "842", "999999999", "99999999999999999999", "x"],
    "/airports": [""],
    "/airports/{faa}": ["JFK", "SJU", "jfk", "%00", "04G"],
    "/airports/{faa}/nearest": ["EWR/nearest", "LAX/nearest?limit=3", "ZZZ/nearest", "JFK/nearest?limit=0"],
    "/airports/{faa}/departures": [
        "LGA/departures?date=2013-02-01",
        "LAX/departures?date=2013-01-01",
        "JFK/departures?date=2014-01-01",
        "SJU/departures?date=2013-01-01",
        "JFK/departures?date=2013-02-30",
        "JFK/departures",
    ],
    "/airlines": ["", "?page=2"],
    "/reports/delays": [
        "?by=carrier",
        "?by=month&origin=EWR",
        "?by=hour&month=2013-01",
        "?by=destination&origin=JFK&month=2013-07",
        "?by=carrier&month=2012-12",
        "?by=weekday",
    ],
    "/reports/routes": ["", "?origin=LGA&month=2013-01&limit=5", "?limit=0"],
    "/itineraries": [
        "?origin=JFK&destination=LAX&date=2013-07-01",
        "?origin=BOS&destination=SFO&date=2013-01-01",
        "?origin=JFK&destination=ZZZ&date=2013-07-01",
        "?origin=JFK&destination=JFK&date=2013-07-01",
    ],
    "/weather/{faa}": ["JFK?at=2013-01-01T12:00Z", "LAX?at=2013-01-01T12:00Z", "JFK?at=yesterday"],
}
"""By path template, what follows the part of the template that is the same for all."""

ADDRESSES = [template.partition("{")[0] + rest for template, rests in REQUESTS.items() for rest in rests]
VARIANTS = {**ARMS, **{f"only {name}": frozenset({name}) for name in NAMES}}
KEEPING = {"response_cache", "local_cache", "http_cache"}
"""Techniques with which a repeated request gets a different response."""
DIFFERS = {"/", "/exports/{export_id}", "/exports/{export_id}/file", "/flights/{flight_id}/events"}
"""The landing page differs by arm, an export is created first, a stream has no end; each has its own tests."""


@pytest.fixture(scope="module")
def upstream_url(sparse_flights: Path) -> Iterator[str]:
    async def readings() -> Readings:
        async with AsyncExitStack() as stack:
            database = Database(arm_settings("none", sparse_flights))
            stack.push_async_callback(database.close)
            return await load_readings(database)

    faults = FaultController(Behaviour(median_ms=0, p99_ms=0))
    upstream = create_upstream(asyncio.run(readings()), faults, connections=Connections(), random=Random(1))
    with serving(upstream) as url:
        yield url


@pytest.fixture(scope="module")
def baseline(sparse_flights: Path, upstream_url: str) -> dict[str, tuple[int, Any]]:
    """The responses of the arm without techniques by URL."""
    with running_arm(arm_settings("none", sparse_flights, weather_url=upstream_url)) as arm:
        return {address: response_of(arm, address) for address in ADDRESSES}


def response_of(arm: Arm, address: str) -> tuple[int, Any]:
    """Return the status and the data of a response, without what techniques may change: nulls, fields, traces."""
    response = arm.client.get(address)
    data = without_nulls(response.json())
    if response.status_code >= 400:
        assert response.headers["Content-Type"] == "application/problem+json", address
        data.pop("trace_id", None)
    wanted = httpx.URL(address).params.get("fields")
    if wanted and response.status_code == 200:
        data["items"] = [{key: item[key] for key in wanted.split(",") if key in item} for item in data["items"]]
    return response.status_code, data


def without_nulls(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: without_nulls(value) for key, value in data.items() if value is not None}
    return [without_nulls(value) for value in data] if isinstance(data, list) else data


@pytest.mark.parametrize("techniques", VARIANTS.values(), ids=VARIANTS)
def test_every_arm_returns_the_same_data(
    techniques: frozenset[str], sparse_flights: Path, upstream_url: str, baseline: dict[str, tuple[int, Any]]
) -> None:
    with running_arm(arm_settings(techniques, sparse_flights, weather_url=upstream_url)) as arm:
        for address in ADDRESSES:
            assert response_of(arm, address) == baseline[address], address
        for address in ADDRESSES if techniques & KEEPING else []:
            assert response_of(arm, address) == baseline[address], f"{address}, requested again"


def test_the_requests_cover_every_route_and_every_kind_of_problem(
    baseline: dict[str, tuple[int, Any]],
) -> None:
    for template, rests in REQUESTS.items():
        statuses = {baseline[template.partition("{")[0] + rest][0] for rest in rests}
        assert 200 in statuses, template
    assert {status for status, _ in baseline.values()} == {200, 404, 422}


def test_every_route_that_reads_is_compared(sparse_flights: Path) -> None:
    paths = create_app(arm_settings("none", sparse_flights), telemetry=QUIET).openapi()["paths"]

    assert {path for path, operations in paths.items() if "get" in operations} == set(REQUESTS) | DIFFERS
