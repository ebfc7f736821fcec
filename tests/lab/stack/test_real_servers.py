"""The verification understands real servers: Prometheus, Alertmanager and an arm; the rest is pretended."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
import yaml

from lab.stack.addresses import Addresses
from lab.stack.check import Finding
from lab.stack.servers import monitoring_checks
from lab.stack.signals import signal_checks
from lab.stack.verify import verify
from observability import TelemetrySettings
from tests.lab.stack.pretended import pretending
from tests.servers.arm import arm_settings, running_arm
from tests.servers.executable import executable, free_port
from tests.servers.http import recording

NOBODY = "{route: {receiver: nobody}, receivers: [{name: nobody}]}"
HEARTBEAT = {"alert": "Watchdog", "expr": "vector(1)"}
CHECKS = [*monitoring_checks(), *(check for check in signal_checks() if check.claim == "links latencies to traces")]


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[Callable[[dict[str, str]], str]]:
    """Return a function that starts Prometheus with targets by job, among them `alertmanager`."""
    program = executable("prometheus", package="prometheus")
    servers: list[subprocess.Popen[bytes]] = []

    def start(targets: dict[str, str]) -> str:
        groups = [{"name": "all", "rules": [HEARTBEAT]}]
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
        deadline = time.monotonic() + 20
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


def test_real_servers_have_nothing_wrong_and_then_what_is_wrong_is_seen(
    prometheus: Callable[[dict[str, str]], str], alertmanager: Callable[[str], str], few_flights: Path
) -> None:
    metrics = free_port()
    alerts = alertmanager(NOBODY)
    url = prometheus({"service": f"127.0.0.1:{metrics}", "alertmanager": alerts.removeprefix("http://")})

    def found(baseline: str, *, wait_s: float) -> list[Finding]:
        at = Addresses({**elsewhere.urls, "prometheus": url, "alertmanager": alerts, "baseline": baseline})
        return list(verify(at, boards=frozenset(), wait_s=wait_s, checks=CHECKS))

    with pretending(frozenset()) as stack, recording() as collector:
        elsewhere = stack.at
        telemetry = TelemetrySettings(metrics_port=metrics, otlp_endpoint=collector.url, access_log=False)
        with running_arm(arm_settings("pooling", few_flights), telemetry=telemetry) as arm:
            findings = found(str(arm.client.base_url).rstrip("/"), wait_s=30)
            assert [(one.claim, one.seen) for one in findings if not one.ok] == []
            assert len(findings) == len(CHECKS) == 4
        time.sleep(2)  # Prometheus notices at its next scrape
        findings = found(stack.at["baseline"], wait_s=0)
    [gone] = [one for one in findings if not one.ok]
    assert gone.claim == "reaches every target"
    assert f"service (http://127.0.0.1:{metrics}/metrics)" in gone.seen
