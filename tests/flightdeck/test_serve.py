"""`flightdeck serve` as a process with an environment, signals and an exit code."""

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import httpx
import pytest

from flightdeck.server.listener import listening_socket
from service.techniques import NAMES
from tests.servers.embedded import FLIGHTDECK
from tests.servers.port import free_port

IN_PROGRESS = re.compile(r"^http_requests_inprogress(?:\{[^}]*\})? [1-9]", re.MULTILINE)
ADDRESS = re.compile(r"serves on (http://\S+)")


@contextmanager
def served(
    data_dir: Path, *options: str, program: str = FLIGHTDECK, **environment: str
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Yield a running server and its base URL; kill it at the end if it is still running."""
    process = subprocess.Popen(
        [program, "serve", "--data-dir", str(data_dir), "--port", "0", "--metrics-port", "0", *options],
        env=os.environ | environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        address = ADDRESS.search(line)
        assert address, line
        url = address.group(1)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                httpx.get(f"{url}/livez")
                break
            except httpx.TransportError:
                time.sleep(0.02)
        yield process, url
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def startup_error(*options: str, **environment: str) -> str:
    """Return what a start that must fail prints."""
    done = subprocess.run(
        [FLIGHTDECK, "serve", *options],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_server_prints_its_address_serves_and_stops_at_the_signal(few_flights: Path) -> None:
    with served(few_flights, TECHNIQUES="pooling,compression", ARM="two") as (process, url):
        landing = httpx.get(f"{url}/", headers={"Accept": "application/json"}).json()
        assert landing["arm"] == "two"
        assert {name for name, is_on in landing["techniques"].items() if is_on} == {"pooling", "compression"}
        metrics = httpx.get(landing["links"]["Metrics"]).text
        process.send_signal(signal.SIGINT)
        _, printed = process.communicate(timeout=60)

    assert 'handler="/livez"' in metrics
    assert process.returncode == 0
    assert printed.splitlines()[-1] == "stopped"


def test_requests_in_flight_complete_before_the_server_stops(few_flights: Path) -> None:
    responses: list[httpx.Response] = []
    with served(few_flights, TECHNIQUES="none") as (process, url):
        metrics = httpx.get(f"{url}/", headers={"Accept": "application/json"}).json()["links"]["Metrics"]
        reader = Thread(target=lambda: responses.append(httpx.get(f"{url}/flights", timeout=60)))
        reader.start()
        deadline = time.monotonic() + 60
        while not IN_PROGRESS.search(httpx.get(metrics).text) and not responses and time.monotonic() < deadline:
            time.sleep(0.005)
        process.terminate()
        process.wait(60)
        reader.join(60)

    assert [response.status_code for response in responses] == [200]
    assert len(responses[0].json()["items"]) > 3000


@pytest.mark.parametrize("delay_s", ["0", "2"])
def test_open_event_streams_end_cleanly_as_soon_as_the_server_drains(few_flights: Path, delay_s: str) -> None:
    with served(few_flights, TECHNIQUES="none", SHUTDOWN_DELAY_S=delay_s) as (process, url), ExitStack() as stack:
        landing = httpx.get(f"{url}/", headers={"Accept": "application/json"}).json()
        flight = httpx.get(f"{url}/flights?limit=1").json()["items"][0]["id"]
        address = urlsplit(url)
        streams = [
            stack.enter_context(socket.create_connection((address.hostname, address.port), timeout=60))
            for _ in range(3)
        ]
        sent = [b"", b"", b""]
        for number, stream in enumerate(streams):
            stream.sendall(b"GET /flights/%d/events HTTP/1.1\r\nHost: x\r\n\r\n" % flight)
            while b"event: status" not in sent[number]:
                sent[number] += stream.recv(65536)
        process.terminate()
        signalled = time.monotonic()
        for number, stream in enumerate(streams):
            while not sent[number].endswith(b"\r\n0\r\n\r\n"):
                part = stream.recv(65536)
                assert part, sent[number]
                sent[number] += part
        ended_s = time.monotonic() - signalled
        if delay_s != "0":
            late = httpx.get(f"{url}/flights/{flight}/events", timeout=60)
            assert (late.status_code, late.headers["Connection"]) == (200, "close")
            assert "retry: " in late.text
            metrics = httpx.get(landing["links"]["Metrics"]).text
            assert re.search(
                r'http_requests_total\{code="200",handler="/flights/\{flight_id\}/events"[^}]*\} 4', metrics
            )
            assert 'status="5xx"' not in metrics
        _, printed = process.communicate(timeout=60)
        stopped_s = time.monotonic() - signalled

    assert ended_s < 2, "the streams end when draining begins, not after the delay"
    assert stopped_s < float(delay_s) + 4, "less than the timeout of requests in flight"
    assert "Traceback" not in printed
    assert "Cancel" not in printed


def test_without_flights_the_start_fails_and_names_the_command_that_loads_them(tmp_path: Path) -> None:
    printed = startup_error("--data-dir", str(tmp_path))

    assert "run `flightdeck data load`" in printed
    assert list(tmp_path.iterdir()) == []


def test_an_empty_database_fails_the_start_too(tmp_path: Path) -> None:
    (tmp_path / "flightdeck.db").touch()

    assert "flightdeck data load" in startup_error("--data-dir", str(tmp_path))


def test_a_bad_setting_is_named_with_what_is_allowed(few_flights: Path) -> None:
    printed = startup_error("--data-dir", str(few_flights), TECHNIQUES="caching", POOL_SIZE="0", MAX_BODY_BYTES="lots")

    assert "unknown technique caching" in printed
    assert all(name in printed for name in NAMES)
    assert "POOL_SIZE" in printed
    assert "MAX_BODY_BYTES" in printed


def test_a_bad_telemetry_setting_is_named(few_flights: Path) -> None:
    assert "OTEL_TRACES_SAMPLER" in startup_error("--data-dir", str(few_flights), OTEL_TRACES_SAMPLER="sometimes")


def test_a_port_in_use_is_named(few_flights: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        printed = startup_error("--data-dir", str(few_flights), "--port", str(port))

    assert f"cannot listen on 127.0.0.1 port {port}" in printed


def test_a_port_is_taken_before_the_application_starts() -> None:
    """A socket of another process that is bound, but does not listen yet, must not be able to take it then."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", free_port()))
        with listening_socket(*other.getsockname()), pytest.raises(OSError, match="in use"):
            other.listen()


@pytest.mark.parametrize("host", ["no such host", "192.0.2.1"])
def test_a_host_that_cannot_be_bound_is_named(few_flights: Path, host: str) -> None:
    assert f"cannot listen on {host} port 8000" in startup_error("--data-dir", str(few_flights), "--host", host)


def test_an_unreachable_database_server_does_not_fail_the_start(tmp_path: Path) -> None:
    unreachable = f"postgresql+asyncpg://user@127.0.0.1:{free_port()}/flights"
    process = subprocess.Popen(
        [FLIGHTDECK, "serve", "--data-dir", str(tmp_path), "--port", "0", "--metrics-port", "0"],
        env=os.environ | {"DATABASE_URL": unreachable},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        assert "not ready" in process.stderr.readline()
        assert "serves on" in process.stderr.readline()
    finally:
        process.kill()
        process.communicate()
