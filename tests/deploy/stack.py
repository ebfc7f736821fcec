"""The stack of docker-compose.yml, for tests that start it."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final

import httpx

from tests.servers.port import free_port

ROOT: Final = Path(__file__).parents[2]
FILES: Final = ("docker-compose.yml", "tests/deploy/compose.test.yml")
EXCLUDED: Final = frozenset({"grafana"})
"""There is no Debian package of it, so no image without a registry. Tempo and Loki are replaced."""

PORTS: Final = {
    "edge": "EDGE_PORT",
    "baseline": "BASELINE_PORT",
    "caching": "CACHING_PORT",
    "pooling": "POOLING_PORT",
    "compression": "COMPRESSION_PORT",
    "locust": "LOCUST_PORT",
    "bugsink": "BUGSINK_PORT",
    "flower": "FLOWER_PORT",
    "rabbitmq": "RABBITMQ_PORT",
    "grafana": "GRAFANA_PORT",
    "prometheus": "PROMETHEUS_PORT",
    "alertmanager": "ALERTMANAGER_PORT",
    "receiver": "RECEIVER_PORT",
    "collector": "OTLP_PORT",
    "collector over gRPC": "OTLP_GRPC_PORT",
    "counter": "COUNTER_PORT",
}


@dataclass
class Stack:
    """A Compose project of its own, on free ports."""

    environment: dict[str, str]
    project: str
    ports: dict[str, int] = field(default_factory=lambda: {name: free_port() for name in PORTS})

    def __post_init__(self) -> None:
        self.environment |= {variable: str(self.ports[name]) for name, variable in PORTS.items()}
        self.environment |= {"COMPOSE_PROJECT_NAME": self.project, "COMPOSE_PROFILES": "all"}

    def compose(self, *arguments: str, timeout_s: float = 120, check: bool = True) -> str:
        """Return the output of `docker compose`; fail with its error output."""
        command = ["docker", "compose", *(f"--file={name}" for name in FILES), *arguments]
        return self._run(command, timeout_s=timeout_s, check=check)

    def flightdeck(self, *arguments: str, timeout_s: float) -> str:
        """Return the output of a `flightdeck` command that uses this stack."""
        self.environment["COMPOSE_FILE"] = ":".join(FILES)
        return self._run([sys.executable, "-m", "flightdeck", *arguments], timeout_s=timeout_s, check=True)

    def compare(self, requests: Path, **values: str) -> Mapping[str, Any]:
        """Return the result of the services of deploy/generators/compose.yml, with these values of its variables."""
        network, file = f"{self.project}_default", "deploy/generators/compose.yml"
        values = {
            "COMPOSE_PROJECT_NAME": f"{self.project}-generators",
            "NETWORK": network,
            "REQUESTS": str(requests),
        } | values
        compose = ["docker", "compose", "--project-directory=.", f"--file={file}"]
        try:
            done = subprocess.run(
                [*compose, "run", "--rm", "--no-TTY", "--use-aliases", "lab"],
                cwd=ROOT,
                env=self.environment | values,
                text=True,
                capture_output=True,
                timeout=300,
                check=False,
            )
        finally:
            subprocess.run(
                [*compose, "down", "--timeout=1"],
                cwd=ROOT,
                env=self.environment | values,
                check=True,
                capture_output=True,
            )
        assert done.returncode in (0, 1), done.stderr[-4000:]
        result: Mapping[str, Any] = json.loads(done.stdout)
        return result

    def docker(self, *arguments: str) -> str:
        return self._run(["docker", *arguments], timeout_s=60, check=True)

    def _run(self, command: Sequence[str], *, timeout_s: float, check: bool) -> str:
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, text=True, capture_output=True, timeout=timeout_s, check=False
        )
        assert not check or done.returncode == 0, f"{' '.join(command)}:\n{done.stderr[-4000:]}"
        return done.stdout

    def up(self, *, seconds: int = 400) -> None:
        """Start every service that has an image, and wait until all are healthy."""
        names = sorted(set(self.compose("config", "--services").split()) - EXCLUDED)
        wanted = ["up", "--detach", "--build", "--wait", f"--wait-timeout={seconds}"]
        try:
            self.compose(*wanted, *names, timeout_s=seconds + 600)
        except AssertionError as error:
            states = self.compose("ps", "--all", check=False)
            raise AssertionError(f"{error}\n{states}\n{self.compose('logs', '--tail=15', check=False)}") from error

    def containers(self) -> list[Mapping[str, Any]]:
        """Return every container, running or exited, from `docker compose ps`."""
        return [json.loads(line) for line in self.compose("ps", "--all", "--format=json").splitlines()]

    def url(self, service: str, path: str = "") -> str:
        """Return the URL of a published port."""
        return f"http://127.0.0.1:{self.ports[service]}{path}"

    def query(self, promql: str) -> dict[str, float]:
        """Return the values of an instant query, by arm."""
        body = httpx.get(self.url("prometheus", "/api/v1/query"), params={"query": promql}, timeout=60).json()
        return {one["metric"].get("arm", ""): float(one["value"][1]) for one in body["data"]["result"]}

    def targets(self) -> list[Mapping[str, Any]]:
        body = httpx.get(self.url("prometheus", "/api/v1/targets"), params={"state": "active"}, timeout=60).json()
        found: list[Mapping[str, Any]] = body["data"]["activeTargets"]
        return found

    def left_over(self) -> list[str]:
        """Return the names of containers, volumes and networks that carry the project's label."""
        mine = f"--filter=label=com.docker.compose.project={self.project}"
        return [
            *self.docker("ps", "--all", "--quiet", mine).split(),
            *self.docker("volume", "ls", "--quiet", mine).split(),
            *self.docker("network", "ls", "--quiet", mine).split(),
        ]


def eventually(condition: Callable[[], Any], *, seconds: float = 60.0) -> Any:
    """Return the value of the condition once it is true; fail with its last value after the timeout."""
    deadline = monotonic() + seconds
    while not (found := condition()):
        assert monotonic() < deadline, f"still {found!r} after {seconds} s"
        sleep(0.5)
    return found
