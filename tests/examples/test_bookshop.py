"""The bookshop runs as its docstring says, and its telemetry shows the lazy and the eager route."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.polling import eventually
from tests.servers.port import free_port

ROOT = Path(__file__).parents[2]


class Shop:
    def __init__(self, url: str, metrics_url: str) -> None:
        self.url = url
        self.metrics_url = metrics_url

    def counts(self, expected: float, name: str, **labels: str) -> None:
        """Wait until the metric has this value: a request is counted after its response was sent."""
        eventually(lambda: self.value(name, **labels) == expected)

    def value(self, name: str, **labels: str) -> float:
        text = httpx.get(self.metrics_url).text
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        return sum(s.value for s in samples if s.name == name and s.labels.items() >= labels.items())


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    port, metrics_port = free_port(), free_port()
    command = [sys.executable, "-m", "uvicorn", "examples.bookshop:create_app", "--factory", "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--app-dir", str(ROOT), "--log-level", "warning"],
        cwd=tmp_path_factory.mktemp("shop"),
        env={"OTEL_EXPORTER_PROMETHEUS_PORT": str(metrics_port)},
    )
    shop = Shop(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{metrics_port}/metrics")
    deadline = monotonic() + 60
    try:
        while True:
            try:
                httpx.get(f"{shop.url}/books/1")
            except httpx.ConnectError:
                assert monotonic() < deadline, "the shop does not start"
                sleep(0.1)
            else:
                break
        yield shop
    finally:
        process.terminate()
        process.wait(60)


def test_an_n_plus_one_is_suspected_on_the_lazy_route_only(shop: Shop) -> None:
    assert len(httpx.get(f"{shop.url}/authors").json()) == 25
    shop.counts(26, "db_queries_per_request_sum", handler="/authors")
    shop.counts(1, "db_n_plus_one_suspected_total", handler="/authors")
    httpx.get(f"{shop.url}/authors", params={"eager": True})
    shop.counts(28, "db_queries_per_request_sum", handler="/authors")
    assert shop.value("db_n_plus_one_suspected_total", handler="/authors") == 1


def test_orders_are_counted_by_their_route_and_status(shop: Shop) -> None:
    statuses = [httpx.post(f"{shop.url}/books/5/orders").status_code for _ in range(4)]
    assert statuses == [201, 201, 201, 409]
    for status, count in (("201", 3), ("409", 1)):
        shop.counts(count, "http_requests_total", handler="/books/{number}/orders", code=status)


def test_the_pool_and_the_thread_limiter_have_metrics(shop: Shop) -> None:
    assert shop.value("db_client_connection_max", db_client_connection_pool_name="primary") == 15
    assert shop.value("db_client_connection_wait_time_seconds_count", db_client_connection_pool_name="primary") > 0
    assert shop.value("thread_limiter_limit_threads", limiter="default") == 40


def test_the_doctor_finds_no_problems(shop: Shop) -> None:
    command = [sys.executable, "-m", "flightdeck", "doctor", shop.url, "--metrics-url", shop.metrics_url]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "10 passed, 0 failed, 0 could not look")
