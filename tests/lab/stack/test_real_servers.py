"""The checks against a real Prometheus, a real Alertmanager and a real arm; the other servers are fake."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
import yaml

from lab.stack.addresses import Addresses
from lab.stack.check import CheckResult
from lab.stack.servers import monitoring_checks
from lab.stack.signals import signal_checks
from lab.stack.verify import verify
from observability import TelemetrySettings
from tests.lab.stack.fake_stack import fake_stack
from tests.servers.arm import arm_settings, running_arm
from tests.servers.http import recording
from tests.servers.port import free_port
from tests.servers.program import installed

DISCARD = "{route: {receiver: none}, receivers: [{name: none}]}"
WATCHDOG = {"alert": "Watchdog", "expr": "vector(1)"}
EXEMPLARS = next(check for check in signal_checks() if check.description == "links latencies to traces")
CHECKS = [*monitoring_checks(), EXEMPLARS]


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[Callable[[dict[str, str]], str]]:
    """Return a function that starts Prometheus with targets by job, among them `alertmanager`."""
    program = installed("prometheus")
    servers: list[subprocess.Popen[bytes]] = []

    def start(targets: dict[str, str]) -> str:
        groups = [{"name": "all", "rules": [WATCHDOG]}]
        (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": groups}), "utf-8")
        jobs = [{"job_name": job, "static_configs": [{"targets": [at]}]} for job, at in targets.items()]
        configuration = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(tmp_path / "rules.yml")],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [targets["alertmanager"]]}]}]},
            "scrape_configs": jobs,
        }
        (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(configuration), "utf-8")
        url = f"http://127.0.0.1:{free_port()}"
        options = [
            f"--config.file={tmp_path / 'prometheus.yml'}",
            f"--storage.tsdb.path={tmp_path / 'tsdb'}",
            f"--web.listen-address={url.removeprefix('http://')}",
            "--enable-feature=exemplar-storage",
            "--rules.alert.resend-delay=1s",  # what fires before Alertmanager is known is sent again
        ]
        servers.append(subprocess.Popen([program, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with suppress(httpx.TransportError):
                if httpx.get(f"{url}/-/ready").is_success:
                    return url
            time.sleep(0.05)
        pytest.fail("Prometheus was not ready within 20 s")

    yield start
    for server in servers:
        server.terminate()
        server.wait()


def test_real_servers_pass_every_check_and_a_target_that_stops_is_named(
    prometheus: Callable[[dict[str, str]], str], alertmanager: Callable[[str], str], few_flights: Path
) -> None:
    metrics = free_port()
    alerts = alertmanager(DISCARD)
    url = prometheus({"service": f"127.0.0.1:{metrics}", "alertmanager": alerts.removeprefix("http://")})

    def results_for(baseline: str, *, wait_s: float) -> list[CheckResult]:
        addresses = Addresses({**others.urls, "prometheus": url, "alertmanager": alerts, "baseline": baseline})
        return list(verify(addresses, dashboards=frozenset(), wait_s=wait_s, checks=CHECKS))

    with fake_stack(frozenset()) as stack, recording() as collector:
        others = stack.addresses
        telemetry = TelemetrySettings(metrics_port=metrics, otlp_endpoint=collector.url, access_log=False)
        with running_arm(arm_settings("pooling", few_flights), telemetry=telemetry) as arm:
            results = results_for(str(arm.client.base_url).rstrip("/"), wait_s=30)
            assert [(one.description, one.message) for one in results if not one.ok] == []
            assert len(results) == len(CHECKS) == 4
        time.sleep(2)  # Prometheus notices at its next scrape
        results = results_for(stack.addresses["baseline"], wait_s=0)
    [failed] = [one for one in results if not one.ok]
    assert failed.description == "reaches every target"
    assert f"service (http://127.0.0.1:{metrics}/metrics)" in failed.message
