"""Four workers behind one port, and a real Prometheus that finds each of them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import time
from typing import Any

import httpx
import pytest
import yaml

from tests.polling import eventually
from tests.servers.otlp import Collector, collecting
from tests.servers.port import free_port
from tests.servers.program import installed

WORKERS = 4
REQUESTS = 60


@contextmanager
def process(command: list[str | Path], **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program and everything it starts, in a process group of their own."""
    with subprocess.Popen(
        command, env={**os.environ, **environment}, start_new_session=True, stderr=subprocess.DEVNULL
    ) as started:
        try:
            yield started
        finally:
            os.killpg(started.pid, signal.SIGTERM)
            try:
                started.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(started.pid, signal.SIGKILL)


SERVERS = {
    "uvicorn": ["--port", "{port}", "--workers", str(WORKERS), "--log-level", "warning"],
    "gunicorn": ["--bind", "127.0.0.1:{port}", "--workers", str(WORKERS), "-k", "uvicorn_worker.UvicornWorker"],
}


@contextmanager
def workers(server: str, collector: Collector, targets: Path) -> Iterator[str]:
    port = free_port()
    arguments = [argument.format(port=port) for argument in SERVERS[server]]
    command: list[str | Path] = [sys.executable, "-m", server, "tests.observability.many_workers:app", *arguments]
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "OTEL_EXPORTER_PROMETHEUS_PORT": str(free_port()),
        "OBSERVABILITY_METRICS_TARGETS_DIR": str(targets),
        "OBSERVABILITY_ACCESS_LOG": "false",
    }
    with process(command, **environment):
        eventually(lambda: len(list(targets.glob("*.json"))) == WORKERS, within_s=60)
        yield f"http://127.0.0.1:{port}"


@contextmanager
def prometheus(targets: Path, directory: Path) -> Iterator[Callable[..., Any]]:
    """Run a Prometheus that finds its targets in the directory; yield a function that queries its API."""
    config = {
        "global": {"scrape_interval": "500ms"},
        "scrape_configs": [
            {"job_name": "shop", "file_sd_configs": [{"files": [f"{targets}/*.json"], "refresh_interval": "1s"}]}
        ],
    }
    (directory / "prometheus.yml").write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{free_port()}"
    command: list[str | Path] = [
        installed("prometheus"),
        f"--config.file={directory / 'prometheus.yml'}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address={address}",
        "--enable-feature=exemplar-storage",
    ]

    def fetch(path: str, **parameters: str) -> Any:
        return httpx.get(f"http://{address}/api/v1/{path}", params=parameters).json()["data"]

    def is_ready() -> bool:
        try:
            return httpx.get(f"http://{address}/-/ready").status_code == 200
        except httpx.TransportError:
            return False

    with process(command):
        eventually(is_ready)
        yield fetch


@pytest.mark.server("prometheus")
@pytest.mark.parametrize("server", SERVERS)
def test_prometheus_finds_every_worker_and_the_totals_and_traces_are_right(server: str, tmp_path: Path) -> None:
    targets, started = tmp_path / "targets", time()
    with (
        collecting() as collector,
        workers(server, collector, targets) as url,
        prometheus(targets, tmp_path) as fetch,
    ):

        def value(query: str) -> float:
            result = fetch("query", query=query)["result"]
            return float(result[0]["value"][1]) if result else 0.0

        worker_by_trace: dict[str, int] = {}
        for number in range(REQUESTS):
            response = httpx.get(f"{url}/hello/{number}")  # a connection each, so that the workers share them
            worker_by_trace[response.headers["x-trace-id"]] = response.json()["worker"]
        assert len(set(worker_by_trace.values())) > 1, "one worker served everything; this shows nothing"

        eventually(lambda: value('count(up{job="shop"} == 1)') == WORKERS)
        handler = 'handler="/hello/{name}"'
        eventually(lambda: value(f"sum(http_requests_total{{{handler}}})") == REQUESTS)
        assert value(f"sum(http_request_duration_seconds_count{{{handler}}})") == REQUESTS
        assert value(f"count(http_requests_total{{{handler}}})") == len(set(worker_by_trace.values()))
        assert value("count(count by (worker) (process_cpu_seconds_total))") == WORKERS
        assert value("sum(http_requests_inprogress)") == 0

        collector.wait_for("GET /hello/{name}", REQUESTS)
        exported = {span.trace_id for span in collector.spans}
        assert exported == set(worker_by_trace)
        found = fetch(
            "query_exemplars",
            query=f"http_request_duration_seconds_bucket{{{handler}}}",
            start=str(started),
            end=str(time() + 60),
        )
        examples = {example["labels"]["trace_id"] for series in found for example in series["exemplars"]}
        assert examples
        assert examples <= exported
        instances = {span.resource["service.instance.id"] for span in collector.spans}
        known = {json.loads(path.read_text())[0]["labels"]["worker"] for path in targets.glob("*.json")}
        assert instances <= known
    assert list(targets.glob("*.json")) == [], "workers that stopped are no targets any more"
