"""More requests than connections, and clients that disconnect: some get a 503, none hangs, nothing leaks."""

import asyncio
import socket
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic, sleep
from urllib.parse import urlsplit

import httpx

from tests.servers.arm import Arm, arm_settings, running_arm

CLIENTS = 16
SPIKE = 500
LIST = "/flights?origin=JFK&limit=50"
UNBOUNDED = {"max_concurrent_requests": 0}
"""No admission control, so that the pool is what requests wait for."""


def sampled(arm: Arm, name: str, **labels: str) -> float:
    """Return the sum of the samples of a metric that have these labels."""
    samples = (sample for family in arm.registry.collect() for sample in family.samples)
    return sum(sample.value for sample in samples if sample.name == name and labels.items() <= sample.labels.items())


def assert_none_is_in_use(arm: Arm) -> None:
    """Assert that all requests and checkouts end, and stay so: the last requests may not have been read yet."""
    deadline = monotonic() + 60
    quiet_looks = 0
    while quiet_looks < 10:
        requests = sampled(arm, "http_requests_inprogress")
        connections = sampled(arm, "db_client_connection_count", db_client_connection_state="used")
        quiet_looks = 0 if requests or connections else quiet_looks + 1
        assert monotonic() < deadline, f"{requests:.0f} requests hang, {connections:.0f} connections are checked out"
        sleep(0.05)


def test_a_request_without_a_connection_in_time_gets_a_503_with_retry_after(few_flights: Path) -> None:
    limits = {"pool_size": 1, "pool_max_overflow": 0, "pool_timeout_s": 0.05, **UNBOUNDED}
    settings = arm_settings("pooling,timeouts", few_flights, **limits)
    with running_arm(settings) as arm, ThreadPoolExecutor(CLIENTS) as clients:
        arm.client.get("/flights?origin=JFK")  # connects
        responses = list(clients.map(lambda _: arm.client.get("/flights?origin=JFK"), range(CLIENTS)))
        assert_none_is_in_use(arm)
        afterwards = [arm.client.get("/flights/1").status_code for _ in range(5)]

    rejected = [response for response in responses if response.status_code == 503]
    assert {response.status_code for response in responses} == {200, 503}
    for response in rejected:
        assert int(response.headers["Retry-After"]) >= 1
        assert response.headers["Content-Type"] == "application/problem+json"
        assert response.json()["type"] == "urn:problem-type:flightdeck:pool-exhausted"
        assert "all 1 and 0 overflow are checked out, held most by /flights (" in response.json()["detail"]
    assert afterwards == [200] * 5


def test_five_hundred_requests_at_once_share_five_connections_and_none_hangs(
    database_url: str, few_flights: Path
) -> None:
    limits = {"pool_size": 5, "pool_max_overflow": 0, "pool_timeout_s": 0.5, **UNBOUNDED}
    settings = arm_settings("pooling,timeouts", few_flights, database_url=database_url, **limits)
    with running_arm(settings) as arm:
        asyncio.run(at_once(str(arm.client.base_url), 5))  # fills the pool before the load spike
        responses = asyncio.run(at_once(str(arm.client.base_url), SPIKE))
        assert_none_is_in_use(arm)
        afterwards = [arm.client.get(LIST).status_code for _ in range(5)]

    statuses = Counter(response.status_code for response in responses)
    assert set(statuses) == {200, 503}
    assert statuses.total() == SPIKE
    rejected = [response for response in responses if response.status_code == 503]
    reasons = Counter(response.json()["type"].rpartition(":")[2] for response in rejected)
    assert reasons["pool-exhausted"] > 0
    assert set(reasons) <= {"pool-exhausted", "database-unreachable"}, "a new connection may take too long, too"
    assert all(int(response.headers["Retry-After"]) >= 1 for response in rejected)
    assert afterwards == [200] * 5


def test_clients_that_disconnect_during_a_request_hold_no_connection(database_url: str, few_flights: Path) -> None:
    limits = {"pool_size": 5, "pool_max_overflow": 0, "pool_timeout_s": 5.0, **UNBOUNDED}
    settings = arm_settings("pooling,timeouts", few_flights, database_url=database_url, **limits)
    with running_arm(settings) as arm:
        for timeout_s in (0.0, 0.005, 0.05, 0.2):
            leave(arm, number=15, timeout_s=timeout_s)
        assert_none_is_in_use(arm)
        afterwards = asyncio.run(at_once(str(arm.client.base_url), 5))

    assert [response.status_code for response in afterwards] == [200] * 5


async def at_once(base_url: str, number: int) -> Sequence[httpx.Response]:
    """Return the responses to concurrent requests, each over its own connection."""
    limits = httpx.Limits(max_connections=number)
    async with httpx.AsyncClient(base_url=base_url, timeout=60, limits=limits) as client:
        return await asyncio.gather(*(client.get(LIST) for _ in range(number)))


def leave(arm: Arm, *, number: int, timeout_s: float) -> None:
    """Send requests over many connections and disconnect before most responses."""
    address = urlsplit(str(arm.client.base_url))
    connections = [socket.create_connection((address.hostname, address.port)) for _ in range(number)]
    for connection in connections:
        connection.sendall(f"GET {LIST} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
    sleep(timeout_s)
    for connection in connections:
        connection.close()
