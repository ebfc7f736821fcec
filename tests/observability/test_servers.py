"""The same requests are measured in the same way under every server; daphne has no lifespan."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.observability.test_many_workers import process
from tests.polling import eventually
from tests.servers.port import free_port

READINESS = "/only-post"
APP = "tests.observability.served_shop:app"
SERVERS = {
    "uvicorn": ["uvicorn", APP, "--port", "{port}"],
    "gunicorn": ["gunicorn", APP, "--bind", "127.0.0.1:{port}", "-k", "uvicorn_worker.UvicornWorker"],
    "granian": ["granian", "--interface", "asgi", "--port", "{port}", APP],
    "hypercorn": ["hypercorn", APP, "--bind", "127.0.0.1:{port}"],
    "daphne": ["daphne", "--port", "{port}", APP],
}
REQUESTS = {
    "/plain/7": ("/plain/{number}", "200"),
    "/stream": ("/stream", "200"),
    "/raises": ("/raises", "500"),
    "/fails-later": ("/fails-later", "200"),
    "/no/such/thing": ("unmatched", "404"),
    "/api/v1/items/3": ("/api/v1/items/{item}", "200"),
    "/mounted/deep/5": ("/mounted/deep/{number}", "200"),
    "/starlette/hello/x": ("/starlette/hello/{name}", "200"),
    "/plain-asgi/any/path": ("/plain-asgi", "200"),
}


@contextmanager
def serving(server: str, targets: Path) -> Iterator[str]:
    port = free_port()
    environment = {
        "OTEL_EXPORTER_PROMETHEUS_PORT": str(free_port()),
        "OBSERVABILITY_METRICS_TARGETS_DIR": str(targets),
        "OBSERVABILITY_ACCESS_LOG": "false",
    }
    command: list[str | Path] = [sys.executable, "-m", *(part.format(port=port) for part in SERVERS[server])]
    url = f"http://127.0.0.1:{port}"

    def is_up() -> bool:
        try:
            return httpx.get(f"{url}{READINESS}").status_code == 405
        except httpx.TransportError:
            return False

    with process(command, **environment):
        eventually(is_up)
        yield url


def counted(targets: Path) -> dict[tuple[str, str], float]:
    """Return the counted requests by handler and code, without those that waited for the server."""
    (file,) = targets.glob("*.json")
    (target,) = json.loads(file.read_text())[0]["targets"]
    page = httpx.get(f"http://{target}/metrics", headers={"Accept": "text/plain"}).text
    return {
        (sample.labels["handler"], sample.labels["code"]): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == "http_requests_total" and sample.labels["handler"] != READINESS
    }


@pytest.mark.parametrize("server", SERVERS)
def test_requests_are_counted_alike_under_every_server(server: str, tmp_path: Path) -> None:
    with serving(server, tmp_path) as url, httpx.Client(base_url=url) as client:
        for path in REQUESTS:
            client.get(path)
        eventually(lambda: sum(counted(tmp_path).values()) >= len(REQUESTS))
        assert counted(tmp_path) == dict.fromkeys(REQUESTS.values(), 1)
