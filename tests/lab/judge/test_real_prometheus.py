"""The command against two processes' metrics in a real Prometheus: one becomes slower while it looks."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx
import numpy as np
import pytest
import yaml
from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server
from scipy.special import ndtri  # type: ignore[import-untyped]  # scipy ships no types
from typer.testing import CliRunner

from flightdeck.cli import app
from lab.traffic.traffic import GOLDEN_RATIO
from tests.servers.port import free_port
from tests.servers.program import installed

BUCKETS_S = [0.01 * 1.15**number for number in range(40)]
"""Nearer to each other than the margin."""
REQUESTS_PER_S = 2000
"""Of evenly spread latencies equal versions pass from 500 a second on, whatever share of it each look sees."""


@contextmanager
def version(port: int, *, first: float, slow_after_s: float | None = None) -> Iterator[None]:
    """Serve the metrics of a service with `REQUESTS_PER_S`, 1.5 times as slow after a while.

    Latencies are log-normal, and spread as evenly as can be instead of drawn: that the judge is right about random
    ones is the subject of simulations.
    """
    registry = CollectorRegistry()
    seconds = Histogram("http_request_duration_seconds", "Duration of requests.", buckets=BUCKETS_S, registry=registry)
    requests = Counter("http_requests_total", "Requests.", ["status"], registry=registry)
    server, thread = start_http_server(port, addr="127.0.0.1", registry=registry)
    ended, started = Event(), time.monotonic()

    def serve() -> None:
        served = 0
        while not ended.wait(0.05):
            elapsed_s = time.monotonic() - started
            is_slow = slow_after_s is not None and elapsed_s > slow_after_s
            due = round(elapsed_s * REQUESTS_PER_S)
            ranks = (first + np.arange(served, due) * GOLDEN_RATIO) % 1
            for latency in 0.06 * np.exp(0.6 * ndtri(ranks)) * (1.5 if is_slow else 1.0):
                seconds.observe(float(latency))
            requests.labels("2xx").inc(due - served)
            served = due

    serving = Thread(target=serve, daemon=True)
    serving.start()
    try:
        yield
    finally:
        ended.set()
        serving.join()
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def prometheus(directory: Path, targets: dict[str, int]) -> Iterator[str]:
    """Yield the URL of a Prometheus that scrapes these versions every second."""
    scraped = [{"targets": [f"127.0.0.1:{port}"], "labels": {"version": name}} for name, port in targets.items()]
    jobs = [{"job_name": "service", "static_configs": scraped}]
    config = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": jobs}
    (directory / "prometheus.yml").write_text(yaml.safe_dump(config), "utf-8")
    url = f"http://127.0.0.1:{free_port()}"
    options = [f"--config.file={directory / 'prometheus.yml'}", f"--storage.tsdb.path={directory / 'data'}"]
    command = [installed("prometheus"), *options, f"--web.listen-address={url.removeprefix('http://')}"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                try:
                    found = httpx.get(f"{url}/api/v1/query", params={"query": "http_requests_total"}).json()
                    if len(found["data"]["result"]) == len(targets):
                        break
                except (httpx.TransportError, ValueError):
                    pass  # it is starting
                time.sleep(0.1)
            yield url
        finally:
            server.terminate()


def judged(directory: Path, duration: str, *, slow_after_s: float | None = None) -> tuple[int, dict[str, Any]]:
    """Return the exit code and the last judgement of a canary."""
    ports = {"1": free_port(), "2": free_port()}
    with ExitStack() as stack:
        stack.enter_context(version(ports["1"], first=0.1))
        stack.enter_context(version(ports["2"], first=0.6, slow_after_s=slow_after_s))
        url = stack.enter_context(prometheus(directory, ports))
        selectors = ["--baseline", '{version="1"}', "--candidate", '{version="2"}']
        options = ["--prometheus", url, "--for", duration, "--every", "1s", "--json"]
        done = CliRunner().invoke(app, ["lab", "judge", *selectors, *options])
    return done.exit_code, json.loads(done.stdout)


def test_a_version_that_becomes_slower_fails(tmp_path: Path) -> None:
    code, judgement = judged(tmp_path, "120s", slow_after_s=4.0)
    assert (code, judgement["verdict"]) == (3, "fail")
    assert judgement["reason"] == "the candidate is slower than the baseline"
    assert judgement["elapsed_s"] < 120


def test_an_equal_version_passes(tmp_path: Path) -> None:
    code, judgement = judged(tmp_path, "8s")
    assert (code, judgement["verdict"]) == (0, "pass")
    assert judgement["requests"]["candidate"] == pytest.approx(judgement["elapsed_s"] * REQUESTS_PER_S, rel=0.5)
