"""Real Prometheus servers and promtool, started by the tests on free ports."""

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest
import yaml

from tests.polling import eventually
from tests.servers.port import free_port
from tests.servers.program import installed


@pytest.fixture(scope="session")
def promtool() -> Callable[..., str]:
    """Return a function that runs promtool with arguments and returns what it prints; it fails the test on an error."""
    program = installed("promtool")

    def run(*arguments: str | Path) -> str:
        done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
        said = "\n".join(line for line in (done.stdout + done.stderr).splitlines() if line)
        if done.returncode:
            pytest.fail(said)
        return said

    return run


@pytest.fixture(scope="session")
def prometheus_exposition(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The metrics of a real Prometheus that has evaluated rules and has an Alertmanager."""
    directory = tmp_path_factory.mktemp("prometheus")
    config = {
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": ["127.0.0.1:9"]}]}]},
        "rule_files": [str(directory / "rules.yml")],
    }
    rules = {"groups": [{"name": "one", "interval": "1s", "rules": [{"record": "one", "expr": "vector(1)"}]}]}
    (directory / "prometheus.yml").write_text(yaml.safe_dump(config), "utf-8")
    (directory / "rules.yml").write_text(yaml.safe_dump(rules), "utf-8")
    program = installed("prometheus")
    options = [f"--config.file={directory / 'prometheus.yml'}", f"--storage.tsdb.path={directory / 'data'}"]
    return own_metrics([program, *options], "prometheus_notifications_errors_total{")


def own_metrics(command: Sequence[str | Path], until: str) -> str:
    """Start a server, wait until its exposition contains `until`, stop the server, and return the exposition."""
    address = f"127.0.0.1:{free_port()}"
    with subprocess.Popen(
        [*command, f"--web.listen-address={address}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                with suppress(httpx.TransportError):
                    text = httpx.get(f"http://{address}/metrics").text
                    if until in text:
                        return text
                time.sleep(0.1)
            pytest.fail(f"{command[0]} did not expose {until} within 20 s")
        finally:
            server.terminate()


@contextmanager
def scraping(target: str, directory: Path) -> Iterator[str]:
    """Yield the URL of a Prometheus that stores exemplars and scrapes the address, once it responds.

    The interval is also the timeout of a scrape, which takes more than half a second on a busy machine.
    """
    config = {
        "global": {"scrape_interval": "2s"},
        "scrape_configs": [{"job_name": "shop", "static_configs": [{"targets": [target]}]}],
    }
    (directory / "prometheus.yml").write_text(yaml.safe_dump(config), "utf-8")
    url = f"http://127.0.0.1:{free_port()}"
    command = [
        installed("prometheus"),
        f"--config.file={directory / 'prometheus.yml'}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address={url.removeprefix('http://')}",
        "--enable-feature=exemplar-storage",
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:

        def is_ready() -> bool:
            assert server.poll() is None, "Prometheus has ended: its port was taken"
            with suppress(httpx.TransportError):
                return httpx.get(f"{url}/-/ready").is_success
            return False

        try:
            eventually(is_ready)
            yield url
        finally:
            server.terminate()


def exemplars(url: str, query: str, *, until: Callable[[set[str]], bool], within_s: float = 60.0) -> set[str]:
    """Return the trace ids of the series' exemplars once the condition holds, or at the deadline."""
    deadline, found = time.monotonic() + within_s, set[str]()
    while not until(found) and time.monotonic() < deadline:
        time.sleep(0.1)
        with suppress(httpx.TransportError):
            parameters = {"query": query, "start": str(time.time() - 600), "end": str(time.time() + 60)}
            series = httpx.get(f"{url}/api/v1/query_exemplars", params=parameters).json()["data"]
            found = {exemplar["labels"]["trace_id"] for one in series for exemplar in one["exemplars"]}
    return found
