"""The complete service with its caches: a write invalidates what it changes in every level, and nothing else."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.app import create_app
from tests.servers.arm import BEARER, Arm, arm_settings, running_arm
from tests.servers.asgi import serving
from tests.servers.port import free_port
from tests.servers.redis import RedisServer
from tests.servers.varnish import varnish

DAY, OTHER_DAY = "2013-01-01", "2013-07-01"

TOUCHED = [
    f"/airports/JFK/departures?date={DAY}",
    "/reports/delays?by=carrier",
    "/reports/delays?by=hour&origin=JFK",
    "/reports/delays?by=month&month=2013-01",
    "/reports/delays?by=destination&origin=JFK&month=2013-01",
    "/reports/routes",
    "/reports/routes?origin=JFK&month=2013-01",
]
"""What an update of a flight from JFK on `DAY` may change."""

CHANGED = [path for path in TOUCHED if not path.startswith("/reports/routes")]
"""What a later departure always changes; a ranking by punctuality may stay the same."""

WRITES = range(1001, 1021)
"""Delays to write until one of them is seen in time."""

REFERENCE = ["/airports/JFK", "/airlines"]

UNTOUCHED = [
    f"/airports/JFK/departures?date={OTHER_DAY}",
    f"/airports/LGA/departures?date={DAY}",
    "/reports/delays?by=hour&origin=LGA",
    "/reports/delays?by=month&month=2013-07",
    "/reports/delays?by=destination&origin=LGA&month=2013-01",
    "/reports/routes?origin=JFK&month=2013-02",
    *REFERENCE,
]


def is_hit(response: httpx.Response) -> bool:
    return "; hit" in response.headers["cache-status"]


def written(client: httpx.Client, flight: dict[str, Any], delay_min: int) -> None:
    """Set the flight's delay to a value that changes every report."""
    change = {"status": "departed", "departure_delay_min": delay_min}
    client.patch(f"/flights/{flight['id']}/status", json=change, headers=BEARER).raise_for_status()


def a_flight(client: httpx.Client) -> dict[str, Any]:
    board = client.get("/flights", params={"origin": "JFK", "date_from": DAY, "date_to": DAY, "limit": 1})
    flight: dict[str, Any] = board.raise_for_status().json()["items"][0]
    return flight


@pytest.fixture(params=["memory", "redis"])
def redis_url(request: pytest.FixtureRequest) -> str:
    if request.param == "memory":
        return ""
    server: RedisServer = request.getfixturevalue("own_redis")
    return server.url


@pytest.mark.parametrize("techniques", ["all", "response_cache,local_cache", "response_cache,compression,http_cache"])
def test_a_write_invalidates_exactly_the_responses_that_it_changes(
    data_dir: Path, redis_url: str, techniques: str
) -> None:
    has_local = techniques == "all" or "local_cache" in techniques
    kept = [path for path in UNTOUCHED if has_local or path not in REFERENCE]
    with ExitStack() as running:
        arm = running.enter_context(running_arm(arm_settings(techniques, data_dir, redis_url=redis_url)))
        plain = running.enter_context(running_arm(arm_settings("none", data_dir)))
        flight = a_flight(plain.client)
        before = {path: arm.client.get(path).raise_for_status().json() for path in TOUCHED + UNTOUCHED}
        assert all(is_hit(arm.client.get(path)) for path in TOUCHED)
        written(arm.client, flight, delay_min=1234)
        for path in TOUCHED:
            response = arm.client.get(path)
            assert not is_hit(response), path
            assert (response.json() != before[path]) is (path in CHANGED), path
        for path in UNTOUCHED:
            assert arm.client.get(path).json() == before[path], path
        for path in kept:
            assert is_hit(arm.client.get(path)), path


def test_a_write_through_one_process_is_seen_by_the_others_within_a_second(
    data_dir: Path, own_redis: RedisServer
) -> None:
    with ExitStack() as running:
        settings = arm_settings("all", data_dir, redis_url=own_redis.url)
        first, second = (running.enter_context(running_arm(settings)) for _ in range(2))
        flight = a_flight(first.client)
        path = TOUCHED[0]
        assert not is_hit(first.client.get(path))
        assert is_hit(second.client.get(path)), "what one process computed, the other sends"

        def took_s(delay_min: int) -> float:
            eventually(lambda: is_hit(second.client.get(path)))
            written(first.client, flight, delay_min=delay_min)
            return eventually(lambda: shows(second, path, delay_min))

        assert any(took_s(delay_min) < 1 for delay_min in WRITES), "one at least, on a busy machine"


@pytest.mark.parametrize("techniques", ["none", "local_cache", "response_cache,http_cache", "indexes,eager_loading"])
def test_a_write_through_an_arm_with_other_techniques_reaches_every_arm_that_caches_the_same_data_within_a_second(
    data_dir: Path, own_redis: RedisServer, techniques: str
) -> None:
    caching = "all" if "indexes" in techniques else "response_cache,local_cache"
    with ExitStack() as running:
        writer, *caches = (
            running.enter_context(running_arm(arm_settings(those, data_dir, redis_url=own_redis.url)))
            for those in (techniques, caching, f"{caching},http_cache" if caching != "all" else caching)
        )
        flight = a_flight(writer.client)

        def took_s(delay_min: int) -> float:
            for arm in caches:
                eventually(lambda: is_hit(arm.client.get(TOUCHED[0])))  # noqa: B023 called at once
            written(writer.client, flight, delay_min=delay_min)
            return sum(eventually(lambda: shows(arm, TOUCHED[0], delay_min)) for arm in caches)  # noqa: B023 called at once

        assert any(took_s(delay_min) < 1 for delay_min in WRITES), "one at least, on a busy machine"


def test_a_write_is_not_lost_while_other_caches_are_unreachable(data_dir: Path, own_redis: RedisServer) -> None:
    with ExitStack() as running:
        writer, caching = (
            running.enter_context(running_arm(arm_settings(those, data_dir, redis_url=own_redis.url)))
            for those in ("none", "response_cache")
        )
        flight = a_flight(writer.client)
        caching.client.get(TOUCHED[0])
        assert is_hit(caching.client.get(TOUCHED[0]))
        own_redis.stop()
        written(writer.client, flight, delay_min=1001)
        own_redis.start()
        eventually(lambda: shows(caching, TOUCHED[0], 1001), within_s=60)


def shows(arm: Arm, path: str, delay_min: int) -> bool:
    return any(flight.get("departure_delay_min") == delay_min for flight in arm.client.get(path).json()["items"])


def eventually(claim: Callable[[], bool], *, within_s: float = 60.0) -> float:
    """Return after how many seconds the check began that succeeded.

    How long the response itself takes, a second without techniques, does not count.
    """
    began = checked = time.monotonic()
    while not claim():
        assert time.monotonic() < began + within_s, f"not true within {within_s} s"
        time.sleep(0.01)
        checked = time.monotonic()
    return checked - began


@pytest.fixture
def edge(data_dir: Path, varnish_program: str, tmp_path: Path) -> Iterator[httpx.Client]:
    """A client of an edge that the service purges after writes."""
    port = free_port()
    app = create_app(arm_settings("all", data_dir, edge_url=f"http://127.0.0.1:{port}"))
    with (
        serving(app) as service_url,
        varnish(varnish_program, tmp_path, service_url=service_url, port=port) as edge_url,
        httpx.Client(base_url=edge_url, timeout=60) as client,
    ):
        yield client


def test_a_write_purges_the_edge_before_its_response(edge: httpx.Client) -> None:
    flight = a_flight(edge)
    before = {path: edge.get(path).json() for path in TOUCHED + UNTOUCHED}
    etags = {path: edge.get(path).headers["etag"] for path in TOUCHED}
    assert all(edge.get(path).headers["cache-status"].startswith("edge; hit") for path in TOUCHED + UNTOUCHED)
    written(edge, flight, delay_min=1234)
    for path in TOUCHED:
        response = edge.get(path, headers={"if-none-match": etags[path]})
        assert not response.headers["cache-status"].startswith("edge; hit"), path
        assert response.status_code == (200 if path in CHANGED else 304), path
        if path in CHANGED:
            assert response.json() != before[path], path
    for path in UNTOUCHED:
        assert edge.get(path).headers["cache-status"].startswith("edge; hit"), path
