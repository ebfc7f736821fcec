"""The service starts before its database, shuts down under traffic, and is replaced process by process."""

import shutil
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep

import httpx
import pytest
from sqlalchemy import URL

from tests.reliability.effort import Effort
from tests.servers.port import free_port
from tests.servers.postgres import PostgresServer
from tests.servers.process import ServiceProcess, is_ready, service_process, starting
from tests.servers.proxy import proxying
from tests.servers.varnish import varnish

DELAY_S = 3.0
"""Between not ready and the end of a process: a probe on a busy machine takes less."""

PAIR = """
import directors;
probe service_is_ready {{ .url = "/readyz"; .interval = 100ms; .timeout = 30s; .window = 2; .threshold = 2; }}
backend one {{ .host = "127.0.0.1"; .port = "{one}"; .probe = service_is_ready; }}
backend two {{ .host = "127.0.0.1"; .port = "{two}"; .probe = service_is_ready; }}
sub vcl_init {{
    new services = directors.round_robin();
    services.add_backend(one);
    services.add_backend(two);
}}
sub vcl_recv {{ set req.backend_hint = services.backend(); }}
"""


@dataclass
class Traffic:
    """Closed-loop clients, and the outcomes of their requests."""

    url: str
    keeps_connections: bool
    seen: Counter[str] = field(default_factory=Counter)
    _is_over: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def end(self) -> None:
        """Let every client finish its current request."""
        self._is_over.set()

    def run(self, number: int) -> None:
        """Send requests until the end; runs in a thread."""
        limits = httpx.Limits(max_keepalive_connections=None if self.keeps_connections else 0)
        with httpx.Client(base_url=self.url, timeout=60, limits=limits) as client:
            sent = 0
            while not self._is_over.is_set():
                sent += 1
                try:
                    response = client.get(f"/flights?min_delay_min={-20 + (7 * number + sent) % 60}&limit=50")
                    what = str(response.status_code)
                except httpx.TransportError as error:
                    what = type(error).__name__
                with self._lock:
                    self.seen[what] += 1

    def wait_for(self, what: str, number: int) -> None:
        """Return when this outcome was seen so often."""
        deadline = monotonic() + 60
        while self.seen[what] < number:
            assert monotonic() < deadline, self.seen
            sleep(0.01)


@contextmanager
def traffic_to(url: str, *, clients: int = 6, keeps_connections: bool) -> Iterator[Traffic]:
    """Yield traffic until the block ends."""
    traffic = Traffic(url, keeps_connections)
    threads = [threading.Thread(target=traffic.run, args=[number]) for number in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield traffic
    finally:
        traffic.end()
        for thread in threads:
            thread.join(60)


def until_it_gets_traffic(service: ServiceProcess) -> None:
    """Return when the edge sends requests to a new process; only then may the next one be replaced."""
    deadline = monotonic() + 60
    while service.metric("http_requests_total", handler="/flights") < 20:
        assert monotonic() < deadline
        sleep(0.1)


def until_it_is_sick(edge: Path, backend: str) -> None:
    """Return when the edge sends no more requests to a backend; the directory is the edge's."""
    list_backends = ["varnishadm", "-n", str(edge / "run"), "backend.list"]
    deadline = monotonic() + 60
    while True:
        states = subprocess.run(list_backends, capture_output=True, text=True, check=True).stdout
        (state,) = [line for line in states.splitlines() if f".{backend} " in line]
        if "sick" in state:
            return
        assert monotonic() < deadline, states
        sleep(0.05)


def until_it_has_a_backend(edge: str) -> None:
    """Wait for the probes of an edge that has started: until two of them succeed it responds with 503."""
    deadline = monotonic() + 60
    while not httpx.get(f"{edge}/readyz", timeout=60).is_success:
        assert monotonic() < deadline
        sleep(0.05)


@pytest.fixture
def data(few_flights: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(few_flights, tmp_path / "data"))


@pytest.mark.parametrize("keeps_connections", [True, False], ids=["kept connections", "new connections"])
def test_a_process_that_shuts_down_is_first_not_ready_and_loses_no_request(
    data: Path, tmp_path: Path, effort: Effort, keeps_connections: bool
) -> None:
    log = tmp_path / "log"
    with (
        service_process(data, log=log, SHUTDOWN_DELAY_S=str(DELAY_S)) as service,
        traffic_to(service.url, keeps_connections=keeps_connections) as traffic,
    ):
        traffic.wait_for("200", 20)
        service.process.send_signal(signal.SIGTERM)
        signalled_at = monotonic()
        while is_ready(service):
            assert monotonic() - signalled_at < DELAY_S
        not_ready_s = monotonic() - signalled_at
        traffic.wait_for("200", traffic.seen["200"] + 7)  # clients that have not noticed are served meanwhile
        traffic.end()
        service.process.wait(60)
        stopped_s = monotonic() - signalled_at

    effort.record(
        "stop",
        "SIGTERM, " + ("kept" if keeps_connections else "new") + " connections",
        responses=traffic.seen["200"],
        lost=traffic.seen.total() - traffic.seen["200"],
        not_ready_after_ms=round(1000 * not_ready_s),
        stopped_after_s=round(stopped_s, 1),
    )
    assert traffic.seen.keys() == {"200"}
    assert DELAY_S <= stopped_s < DELAY_S + 30


def test_a_second_signal_stops_at_once(data: Path, tmp_path: Path) -> None:
    with service_process(data, log=tmp_path / "log", SHUTDOWN_DELAY_S="600") as service:
        service.process.send_signal(signal.SIGTERM)
        while is_ready(service):
            sleep(0.01)
        service.process.send_signal(signal.SIGTERM)
        service.process.wait(60)


@pytest.mark.server("varnish")
def test_two_processes_behind_an_edge_are_replaced_without_a_failed_request(
    data: Path, tmp_path: Path, varnish_program: str, effort: Effort
) -> None:
    ports = (free_port(), free_port())

    def started(stack: ExitStack, port: int) -> ServiceProcess:
        return stack.enter_context(service_process(data, log=tmp_path / "log", port=port, SHUTDOWN_DELAY_S="600"))

    with ExitStack() as stack:
        running = [started(stack, port) for port in ports]
        (tmp_path / "edge").mkdir()
        configuration = PAIR.format(one=ports[0], two=ports[1])
        edge = stack.enter_context(varnish(varnish_program, tmp_path / "edge", backend=configuration))
        until_it_has_a_backend(edge)
        with traffic_to(edge, keeps_connections=True) as traffic:
            for service in running:
                until_it_gets_traffic(service)
            for number, port in enumerate(ports):
                running[number].process.send_signal(signal.SIGTERM)
                until_it_is_sick(tmp_path / "edge", ("one", "two")[number])
                running[number].process.send_signal(signal.SIGTERM)  # the drain need not last longer
                running[number].process.wait(60)
                running[number] = started(stack, port)
                until_it_gets_traffic(running[number])
        for service in running:
            service.process.kill()

    effort.record(
        "stop",
        "two processes replaced behind Varnish",
        responses=traffic.seen["200"],
        lost=traffic.seen.total() - traffic.seen["200"],
    )
    assert traffic.seen.keys() == {"200"}


@pytest.mark.server("postgresql")
def test_a_start_before_the_database_waits_with_the_reason_and_is_ready_once_it_is_up(
    postgres_url: URL, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    with proxying(postgres_server.port) as proxy:
        proxy.stop()
        url = postgres_url.set(port=proxy.port).render_as_string(hide_password=False)
        port, metrics_port = free_port(), free_port()
        log = tmp_path / "log"
        environment = {"DATABASE_URL": url, "START_TIMEOUT_S": "60"}
        with starting(tmp_path, log=log, port=port, metrics_port=metrics_port, **environment) as service:
            deadline = monotonic() + 60
            while True:
                try:
                    response = httpx.get(f"{service.url}/readyz")
                    break
                except httpx.TransportError:
                    assert monotonic() < deadline, log.read_text()
                    sleep(0.05)
            proxy.restore()
            while not is_ready(service):
                assert monotonic() < deadline
                sleep(0.05)
            assert service.process.poll() is None

    assert response.status_code == 503
    assert "is unreachable" in response.json()["detail"]
    assert "not ready, retrying for up to 60 s" in log.read_text()


def test_a_start_without_a_database_gives_up_and_reports_why(tmp_path: Path) -> None:
    url = f"postgresql://postgres@127.0.0.1:{free_port()}/flights"
    port, metrics_port = free_port(), free_port()
    log = tmp_path / "log"
    environment = {"DATABASE_URL": url, "START_TIMEOUT_S": "1"}
    with starting(tmp_path, log=log, port=port, metrics_port=metrics_port, **environment) as service:
        assert service.process.wait(60) == 2

    assert "gave up after 1 s" in log.read_text()
    assert "is unreachable" in log.read_text()
