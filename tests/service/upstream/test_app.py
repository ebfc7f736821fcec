from collections.abc import Iterator
from datetime import UTC, datetime
from random import Random

import httpx
import pytest

from service.upstream.app import create_upstream
from service.upstream.behaviour import Behaviour, FaultController
from service.upstream.connections import Connections, counting_protocol
from service.upstream.readings import Readings
from service.weather.reading import Reading
from tests.servers.asgi import serving

BLIZZARD = Reading(
    origin="JFK",
    time=datetime(2013, 2, 8, 20, tzinfo=UTC),
    temperature_f=33.08,
    dew_point_f=30.92,
    humidity_percent=91.62,
    wind_direction_deg=40,
    wind_speed_mph=21.86,
    wind_gust_mph=None,
    precipitation_in=0.06,
    pressure_mbar=None,
    visibility_mi=0.5,
)
QUICK = Behaviour(median_ms=0, p99_ms=0)


@pytest.fixture
def connections() -> Connections:
    return Connections()


@pytest.fixture
def base_url(connections: Connections) -> Iterator[str]:
    app = create_upstream(Readings([BLIZZARD]), FaultController(QUICK), connections=connections, random=Random(1))
    with serving(app, http=counting_protocol(connections)) as url:
        yield url


def test_any_time_of_an_hour_in_any_zone_returns_the_reading_of_the_hour(base_url: str) -> None:
    for at in ("2013-02-08T20:00Z", "2013-02-08T20:59:59Z", "2013-02-08T15:30-05:00", "2013-02-09T02:00+05:30"):
        response = httpx.get(f"{base_url}/weather/JFK", params={"at": at})

        assert response.status_code == 200, at
        assert Reading.model_validate_json(response.content) == BLIZZARD


def test_a_gap_in_the_readings_is_not_found(base_url: str) -> None:
    assert httpx.get(f"{base_url}/weather/JFK", params={"at": "2013-02-08T21:00Z"}).status_code == 404
    assert httpx.get(f"{base_url}/weather/LGA", params={"at": "2013-02-08T20:00Z"}).status_code == 404


@pytest.mark.parametrize(
    "at", ["yesterday", "2013-02-08T20:00", "1360353600", "0001-01-01T00:00+14:00", "2013-02-30T20:00Z"]
)
def test_a_malformed_time_is_rejected(base_url: str, at: str) -> None:
    assert httpx.get(f"{base_url}/weather/JFK", params={"at": at}).status_code == 422


def test_failures_and_a_hang_can_be_injected_and_ended_while_it_runs(base_url: str) -> None:
    weather = f"{base_url}/weather/JFK?at=2013-02-08T20:00Z"
    behaviour = f"{base_url}/admin/behaviour"

    assert httpx.put(behaviour, json={"median_ms": 0, "p99_ms": 0, "failure_rate": 1}).status_code == 200
    assert httpx.get(weather).status_code == 503

    assert httpx.put(behaviour, json={"hang_s": 60}).status_code == 200
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(weather, timeout=0.2)

    assert httpx.delete(behaviour).json() == QUICK.model_dump()
    assert httpx.get(weather).status_code == 200


def test_an_invalid_behaviour_is_rejected_and_changes_nothing(base_url: str) -> None:
    for behaviour in ({"failure_rate": 2}, {"hang_s": -1}, {"median_ms": 10, "p99_ms": 1}, {"fail": True}):
        assert httpx.put(f"{base_url}/admin/behaviour", json=behaviour).status_code == 422
    assert httpx.get(f"{base_url}/admin/behaviour").json() == QUICK.model_dump()


async def test_administration_is_for_loopback_clients_only() -> None:
    app = create_upstream(Readings([BLIZZARD]), FaultController(QUICK), connections=Connections(), random=Random(1))
    remote = httpx.ASGITransport(app, client=("192.0.2.7", 1000))
    async with httpx.AsyncClient(transport=remote, base_url="http://upstream") as client:
        assert (await client.put("/admin/behaviour", json={"hang_s": 60})).status_code == 403
        assert (await client.get("/admin/connections")).status_code == 403
        assert (await client.get("/weather/JFK?at=2013-02-08T20:00Z")).status_code == 200


def test_a_reused_connection_is_counted_once(base_url: str, connections: Connections) -> None:
    with httpx.Client(base_url=base_url) as client:
        for _ in range(5):
            client.get("/livez")
        assert connections.accepted == 1
        assert connections.open == 1
    for _ in range(3):
        httpx.get(f"{base_url}/livez")
    assert connections.accepted == 4
