"""The service as a process, started with `flightdeck serve` on free ports."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
from prometheus_client.parser import text_string_to_metric_families

from tests.servers.arm import WRITE_TOKEN
from tests.servers.embedded import FLIGHTDECK
from tests.servers.port import free_port

START_DEADLINE_S = 60.0


@dataclass(frozen=True)
class ServiceProcess:
    """A running process: its URLs and its resource usage."""

    url: str
    metrics_url: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def resident_bytes(self) -> int:
        """Its resident memory."""
        return int(psutil.Process(self.process.pid).memory_info().rss)

    @property
    def descriptors(self) -> int:
        """The number of its open file descriptors."""
        return int(psutil.Process(self.process.pid).num_fds())

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of this name that have these labels, 0 without any."""
        text = httpx.get(self.metrics_url, headers={"Accept": "text/plain"}, timeout=60).raise_for_status().text
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )


@contextmanager
def service_process(data_dir: Path, *, log: Path, port: int = 0, **environment: str) -> Iterator[ServiceProcess]:
    """Yield the service once it is ready; settings are environment variables. It is ended at the end."""
    port = port or free_port()
    metrics_port = free_port()
    with starting(data_dir, log=log, port=port, metrics_port=metrics_port, **environment) as service:
        deadline = time.monotonic() + START_DEADLINE_S
        while not is_ready(service):
            if service.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the service does not start:\n{log.read_text()}")
            time.sleep(0.05)
        yield service


@contextmanager
def starting(
    data_dir: Path, *, log: Path, port: int, metrics_port: int, **environment: str
) -> Iterator[ServiceProcess]:
    """Yield the service at once, ready or not."""
    command = [FLIGHTDECK, "serve", "--data-dir", str(data_dir), "--port", str(port)]
    command += ["--metrics-port", str(metrics_port)]
    variables = {"WRITE_TOKEN": WRITE_TOKEN, "OTEL_TRACES_EXPORTER": "none", **environment}
    with log.open("ab") as output:
        process = subprocess.Popen(command, env=os.environ | variables, stdout=output, stderr=output)
    base = "http://127.0.0.1"
    try:
        yield ServiceProcess(f"{base}:{port}", f"{base}:{metrics_port}/metrics", process, log)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
        process.wait()


def is_ready(service: ServiceProcess) -> bool:
    """Return whether the service reports that it is ready."""
    with suppress(httpx.TransportError):
        return httpx.get(f"{service.url}/readyz", timeout=60).is_success
    return False
