"""Limits of size and time for what one client sends, on the service as `flightdeck serve` starts it."""

import shutil
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep

import httpx
import pytest

from flightdeck.server.header_limits import HEADER_TIMEOUT_S
from tests.servers.arm import WRITE_TOKEN
from tests.servers.process import ServiceProcess, service_process

BODY_S = 1.0


@pytest.fixture(scope="module")
def service(few_flights: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    directory = tmp_path_factory.mktemp("limits")
    data_dir = Path(shutil.copytree(few_flights, directory / "data"))
    with service_process(data_dir, log=directory / "log", BODY_TIMEOUT_S=str(BODY_S)) as running:
        yield running


def exchange(service: ServiceProcess, sent: bytes, *, then_every_s: float = 0.0, within_s: float = 60.0) -> bytes:
    """Send bytes, then one more byte at an interval; return everything received until the connection is closed."""
    response = b""
    deadline = monotonic() + within_s
    with socket.create_connection(("127.0.0.1", int(service.url.rpartition(":")[2])), 5) as connection:
        connection.sendall(sent)
        connection.settimeout(then_every_s or within_s)
        while monotonic() < deadline:
            try:
                received = connection.recv(65_536)
            except TimeoutError:
                with suppress(OSError):
                    connection.sendall(b" ")
                continue
            except ConnectionError:
                return response
            if not received:
                return response
            response += received
    pytest.fail(f"the connection is still open after {within_s} s: {response!r}")


def test_a_body_that_arrives_byte_by_byte_is_rejected_in_time_and_releases_its_slot(service: ServiceProcess) -> None:
    head = f"PATCH /flights/1/status HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {WRITE_TOKEN}\r\n"
    head += "Content-Type: application/json\r\nContent-Length: 5000\r\n\r\n{"
    began = monotonic()
    response = exchange(service, head.encode(), then_every_s=0.1)

    assert response.startswith(b"HTTP/1.1 408 ")
    assert b"body-too-slow" in response
    assert b"connection: close" in response.lower()
    assert monotonic() - began >= BODY_S * 0.9
    deadline = monotonic() + 60
    while service.metric("admission_inprogress_requests") and monotonic() < deadline:
        sleep(0.05)
    assert service.metric("admission_inprogress_requests") == 0


@pytest.mark.parametrize("head", [b"X-Long: " + b"x" * 100_000, b"X: y\r\n" * 20_000], ids=["long", "many"])
def test_an_endless_header_block_is_rejected_and_the_connection_closed(service: ServiceProcess, head: bytes) -> None:
    response = exchange(service, b"GET /livez HTTP/1.1\r\nHost: x\r\n" + head)

    assert response == b"" or response.startswith(b"HTTP/1.1 4"), response[:100]
    assert httpx.get(f"{service.url}/livez").status_code == 200


def test_an_endless_query_is_rejected(service: ServiceProcess) -> None:
    response = exchange(
        service, b"GET /flights?cursor=" + b"x" * 200_000 + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )

    assert response == b"" or response.startswith(b"HTTP/1.1 4"), response[:100]


def test_an_idle_connection_is_closed(service: ServiceProcess) -> None:
    began = monotonic()
    response = exchange(service, b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")

    assert response.startswith(b"HTTP/1.1 200 ")
    assert monotonic() - began < 15


@pytest.mark.parametrize("begun", [b"", b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: "], ids=["nothing", "drop by drop"])
def test_a_header_block_that_does_not_arrive_in_time_ends_the_connection(service: ServiceProcess, begun: bytes) -> None:
    began = monotonic()

    assert exchange(service, begun, then_every_s=0.5 if begun else 0.0, within_s=2 * HEADER_TIMEOUT_S) == b""
    assert monotonic() - began >= HEADER_TIMEOUT_S * 0.9
