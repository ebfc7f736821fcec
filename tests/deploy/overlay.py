"""A third-party compose file with the overlay of its kit, for a test that starts both.

The stand-in for the third-party image is the service's own, with an application of the tests. Tempo and Loki are
replaced as in compose.test.yml; Grafana has no Debian package, so no image without a registry.
"""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from typer.testing import CliRunner

from flightdeck.cli import app
from tests.deploy.stack_files import ROOT, environment
from tests.servers.port import free_port

IMAGE: Final = f"flightdeck/service:{environment()['FLIGHTDECK_VERSION']}"
STARTED: Final = ("collector", "tempo", "loki", "prometheus", "alertmanager")
PORTS: Final = ("PROMETHEUS_PORT", "ALERTMANAGER_PORT", "GRAFANA_PORT", "OTLP_PORT", "OTLP_GRPC_PORT")
THEIRS: Final = """
services:
  ledger:
    image: {image}
    pull_policy: never
    entrypoint: [python, -m, uvicorn, --app-dir, /srv, --factory, "ledger:create_app", --host, 0.0.0.0]
    working_dir: /tmp
    environment:
      OTEL_EXPORTER_PROMETHEUS_HOST: 0.0.0.0
      OTEL_EXPORTER_OTLP_ENDPOINT: http://collector:4318
      OTEL_LOGS_EXPORTER: otlp
    volumes: ["{root}/tests/examples/ledger.py:/srv/ledger.py:ro"]
    ports: ["127.0.0.1:{port}:8000", "127.0.0.1:{metrics_port}:9464"]
    healthcheck: {{disable: true}}
"""
REPLACED: Final = """
services:
  tempo:
    image: {collector}
    command: [--config=/etc/otelcol-contrib/config.yaml]
    volumes: !override ["{root}/tests/deploy/tempo.test.yaml:/etc/otelcol-contrib/config.yaml:ro"]
  loki:
    image: {image}
    pull_policy: never
    command: [python, /otlp_counter.py]
    volumes: !override ["{root}/tests/deploy/otlp_counter.py:/otlp_counter.py:ro"]
    ports: ["127.0.0.1:{counter_port}:3100"]
    healthcheck: !override
      test: [CMD, flightdeck-healthy, "http://127.0.0.1:3100/"]
      interval: 2s
"""


@dataclass
class Overlay:
    """A Compose project in a folder of its own, with the commands of docs/kit.md."""

    folder: Path
    environment: dict[str, str]

    def __post_init__(self) -> None:
        self.ports = {name: free_port() for name in ("ledger", "metrics", "counter", *PORTS)}
        self.environment = self.environment | {name: str(self.ports[name]) for name in PORTS}
        self.environment["COMPOSE_PROJECT_NAME"] = f"flightdeck-overlay-{os.getpid()}"
        ports = {"port": self.ports["ledger"], "metrics_port": self.ports["metrics"]}
        counted = {"collector": environment()["COLLECTOR_IMAGE"], "counter_port": self.ports["counter"]}
        (self.folder / "compose.yaml").write_text(THEIRS.format(image=IMAGE, root=ROOT, **ports), "utf-8")
        (self.folder / "replaced.yaml").write_text(REPLACED.format(image=IMAGE, root=ROOT, **counted), "utf-8")

    def url(self, name: str, path: str = "") -> str:
        return f"http://127.0.0.1:{self.ports[name]}{path}"

    def compose(self, *arguments: str, overlay: bool = True, timeout_s: float = 400, check: bool = True) -> None:
        """Run `docker compose` on their file, and on the overlay; fail with its error output."""
        files = ["compose.yaml", *(["monitoring/compose.yaml", "replaced.yaml"] if overlay else [])]
        self._run(
            ["docker", "compose", *(f"--file={name}" for name in files), *arguments], self.folder, timeout_s, check
        )

    def build_image(self) -> None:
        self._run(["docker", "compose", "build", "secrets"], ROOT, 600, check=True)

    def flightdeck(self, *arguments: str) -> None:
        """Run a `flightdeck` command for the files of the folder."""
        done = CliRunner().invoke(app, list(arguments))
        assert done.exit_code == 0, done.output

    def write_kit(self) -> None:
        slo, kit = str(self.folder / "slo.toml"), str(self.folder / "monitoring")
        source = self.url("metrics", "/metrics")
        self.flightdeck("kit", "init", "--from", source, "--job", "ledger", "--target", "ledger:9464", "--out", slo)
        self.flightdeck("kit", "build", "--compose", "--slo", slo, "--out", kit)

    def problems(self) -> list[str]:
        """Return the problems that `flightdeck kit check` finds."""
        files = ["--slo", str(self.folder / "slo.toml"), "--out", str(self.folder / "monitoring")]
        done = CliRunner().invoke(app, ["kit", "check", *files, "--prometheus", self.url("PROMETHEUS_PORT"), "--json"])
        found = json.loads(done.stdout)["findings"]
        return [f"{one['where']}: {one['text']}" for one in found if one["kind"] == "problem"]

    def _run(self, command: list[str], folder: Path, timeout_s: float, check: bool) -> None:
        done = subprocess.run(
            command, cwd=folder, env=self.environment, text=True, capture_output=True, timeout=timeout_s, check=False
        )
        assert not check or done.returncode == 0, f"{' '.join(command)}:\n{done.stderr[-4000:]}"
