import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest
from sqlalchemy import URL
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from service.database.read_your_writes import COOKIE, ReadYourWritesMiddleware
from service.database.reads import current_consistency
from service.settings import Settings
from tests.polling import eventually
from tests.servers.arm import BEARER, WRITE_TOKEN, Arm, running_arm
from tests.servers.asgi import serving
from tests.servers.databases import A_MINUTE
from tests.servers.postgres import PostgresServer


def response_of(endpoint: Any, method: str = "GET", **options: Any) -> httpx.Response:
    """Return the response of an application with this handler."""
    app = ReadYourWritesMiddleware(Starlette(routes=[Route("/", endpoint, methods=["GET", "POST"])]))
    with serving(app) as url:
        return httpx.request(method, url, **options)


async def requested_position(_: Request) -> Response:
    request = current_consistency.get()
    assert request is not None
    return PlainTextResponse(f"{request.after}")


@pytest.mark.parametrize(
    ("cookies", "position"),
    [
        (f"{COOKIE}=123", "123"),
        (f"other=1; {COOKIE}=123; more=2", "123"),
        ("", "0"),
        ("other=1", "0"),
        (f"{COOKIE}=", "0"),
        (f"{COOKIE}=-1", "0"),
        (f"{COOKIE}=1e9", "0"),
        (f"{COOKIE}=²", "0"),
        (f"{COOKIE}=" + "9" * 5000, "0"),
        (f";;=; {COOKIE}", "0"),
        (f"an[odd]=cookie; {COOKIE}=123", "123"),
    ],
)
def test_the_cookie_of_a_request_sets_the_position_to_see(cookies: str, position: str) -> None:
    assert response_of(requested_position, headers={"Cookie": cookies.encode()}).text == position


def test_only_the_response_to_a_write_sets_the_cookie() -> None:
    async def write(request: Request) -> Response:
        consistency = current_consistency.get()
        assert consistency is not None
        if request.method == "POST":
            consistency.wrote = 42
        return PlainTextResponse("done")

    expected = f"{COOKIE}=42; Max-Age=60; Path=/; HttpOnly; SameSite=Lax"
    assert "set-cookie" not in response_of(write).headers
    assert response_of(write, "POST").headers["set-cookie"] == expected
    behind_tls = {"X-Forwarded-Proto": "https"}
    assert response_of(write, "POST", headers=behind_tls).headers["set-cookie"] == f"{expected}; Secure"


@pytest.mark.parametrize(
    ("method", "failed", "statuses", "seen"),
    [
        ("GET", True, [503, 200], (200, 2)),
        ("GET", True, [503, 503], (503, 2)),
        ("GET", False, [503, 200], (503, 1)),
        ("GET", True, [404, 200], (404, 1)),
        ("POST", True, [503, 200], (503, 1)),
    ],
    ids=["read", "read that fails twice", "other failure", "other response", "write"],
)
def test_a_read_that_failed_on_the_replica_is_retried_once_on_the_primary(
    method: str, failed: bool, statuses: list[int], seen: tuple[int, int]
) -> None:
    on_primary: list[bool] = []

    async def endpoint(_: Request) -> Response:
        request = current_consistency.get()
        assert request is not None
        request.replica_failed = failed
        on_primary.append(request.on_primary)
        return PlainTextResponse("body", status_code=statuses[len(on_primary) - 1])

    response = response_of(endpoint, method)
    assert (response.status_code, len(on_primary)) == seen
    assert response.text == "body"
    assert on_primary == [False, True][: seen[1]]


@contextmanager
def arm(primary: URL, replica: URL, **settings: Any) -> Iterator[Arm]:
    shown: dict[str, Any] = {
        "database_url": primary.render_as_string(hide_password=False),
        "database_replica_url": replica.render_as_string(hide_password=False),
    }
    usual: dict[str, Any] = {"techniques": "all", "write_token": WRITE_TOKEN, "replica_max_lag_s": 60, **A_MINUTE}
    with running_arm(Settings(**usual | shown | settings)) as running:
        yield running


@pytest.fixture
def replica(postgres_replica: PostgresServer) -> Iterator[PostgresServer]:
    """The replica, running and replaying again when the test is over."""
    yield postgres_replica
    if postgres_replica.process is None:
        postgres_replica.start()
    postgres_replica.run("SELECT pg_wal_replay_resume()")


def reads(arm: Arm, role: str) -> float:
    """Return the number of reads of a role."""
    return sum(
        sample.value
        for metric in arm.registry.collect()
        for sample in metric.samples
        if sample.name == "db_reads_total" and sample.labels["role"] == role
    )


def wait_for_the_replica(arm: Arm) -> None:
    """Read until a read has used the replica."""
    before, address = reads(arm, "replica"), f"{arm.client.base_url}/flights/1"
    eventually(lambda: httpx.get(address).is_success and reads(arm, "replica") > before)


@pytest.mark.server("postgresql")
def test_a_client_sees_its_write_at_every_process_at_once_and_others_when_the_replica_has_it(
    postgres_url: URL, replica: PostgresServer
) -> None:
    on_replica = replica.url(postgres_url.database or "")
    with ExitStack() as stack:
        writer, reader = (stack.enter_context(arm(postgres_url, on_replica)) for _ in range(2))
        wait_for_the_replica(reader)
        replica.run("SELECT pg_wal_replay_pause()")
        client = httpx.Client()
        change = client.patch(f"{writer.client.base_url}/flights/1/status", json={"status": "boarding"}, headers=BEARER)
        assert change.status_code == 200
        here, there = f"{writer.client.base_url}/flights/1", f"{reader.client.base_url}/flights/1"
        assert client.get(here).json()["status"] == "boarding"
        assert client.get(there).json()["status"] == "boarding"
        assert httpx.get(here).json()["status"] == "boarding", "a process reads its own write for every client"
        assert httpx.get(there).json()["status"] == "arrived"
        replica.run("SELECT pg_wal_replay_resume()")
        eventually(lambda: httpx.get(there).json()["status"] == "boarding")
        client.close()


@pytest.mark.server("postgresql")
def test_a_replica_that_stops_under_traffic_costs_no_request(postgres_url: URL, replica: PostgresServer) -> None:
    techniques = "read_replicas,pooling,indexes,timeouts"
    with arm(postgres_url, replica.url(postgres_url.database or ""), techniques=techniques) as running:
        wait_for_the_replica(running)
        stopped = threading.Event()
        statuses: list[int] = []

        def traffic(number: int) -> None:
            # A connection each: the server may close a kept-alive one just as the next request is sent.
            limits = httpx.Limits(max_keepalive_connections=0)
            with httpx.Client(base_url=running.client.base_url, timeout=60, limits=limits) as client:
                while not stopped.is_set():
                    path = ("/reports/delays?by=carrier", "/flights?origin=JFK&limit=50", f"/flights/{number + 1}")
                    statuses.extend(client.get(one).status_code for one in path)

        with ThreadPoolExecutor(4) as pool:
            clients = [pool.submit(traffic, number) for number in range(4)]
            eventually(lambda: len(statuses) >= 60)
            replica.stop()
            seen = len(statuses)
            eventually(lambda: len(statuses) >= seen + 60)
            replica.start()
            wait_for_the_replica(running)
            stopped.set()
            for client in clients:
                client.result()
        assert set(statuses) == {200}
        assert reads(running, "primary") > 0
