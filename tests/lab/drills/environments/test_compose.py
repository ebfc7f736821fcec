"""Compose drills against fakes: a `docker` that keeps the state of services in files, and a Prometheus and a receiver
whose alerts follow from it. The command line and the drill are real.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from lab.drills.catalogue import COMPOSE_DRILLS
from prometheus.catalogue import every_alert
from prometheus.generated import ROOT
from prometheus.slo import load
from tests.servers.asgi import serving

DOCKER = """\
#!{python}
import json, pathlib, sys, time
state, words = pathlib.Path({state!r}), sys.argv[1:]
if words[0] == "compose":
    words = words[1:]
with (state / "calls").open("a") as calls:
    calls.write(" ".join(words) + "\\n")
service = state / words[-1]
if words[0] == "version":
    print("Docker Compose version v2")
elif words[0] == "port":
    print((state / "address").read_text())
elif words[0] == "ps" and service.exists():
    print(json.dumps({{"Name": service.name, "State": service.read_text()}}))
elif words[0] in ("stop", "pause"):
    time.sleep(1.0)
    service.write_text({{"stop": "exited", "pause": "paused"}}[words[0]])
elif words[0] in ("start", "unpause"):
    service.write_text("running")
"""
SERVICES = ("prometheus", "receiver", "redis", "optimized")


class Stack:
    """The fakes: services in files, and alerts that follow from them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.fires = True
        self.for_s = 1.0
        self.edge_requests = 0
        self._notifications: list[dict[str, Any]] = []
        for service in SERVICES:
            (directory / service).write_text("running")
        docker = directory / "bin" / "docker"
        docker.parent.mkdir()
        docker.write_text(DOCKER.format(python=sys.executable, state=str(directory)))
        docker.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        """The arguments of each `docker` call that changed something."""
        lines = (self.directory / "calls").read_text().splitlines()
        return [line for line in lines if line.split()[0] not in {"version", "ps", "port"}]

    def state(self, service: str) -> str:
        return (self.directory / service).read_text()

    def app(self) -> Starlette:
        async def rules(_: Request) -> JSONResponse:
            return JSONResponse({"data": {"groups": [{"rules": [{"name": "ServiceDown", "duration": self.for_s}]}]}})

        async def alerts(_: Request) -> JSONResponse:
            return JSONResponse({"data": {"alerts": [{"labels": self._labels, "state": "firing"}] * self._is_firing}})

        async def notifications(_: Request) -> JSONResponse:
            last = self._notifications[-1]["alerts"][0]["status"] if self._notifications else "resolved"
            status = "firing" if self._is_firing else "resolved"
            if status != last:
                alert = {"labels": self._labels, "status": status, "annotations": {"summary": "no cache"}}
                self._notifications.append({"received_at": f"{len(self._notifications):09}", "alerts": [alert]})
            return JSONResponse({"heartbeat_age_s": 1.0, "notifications": self._notifications})

        async def edge(_: Request) -> JSONResponse:
            self.edge_requests += 1
            return JSONResponse([])

        return Starlette(
            routes=[
                Route("/airports/{path:path}", edge),
                Route("/weather/{path:path}", edge),
                Route("/api/v1/rules", rules),
                Route("/api/v1/alerts", alerts),
                Route("/notifications", notifications),
            ]
        )

    @property
    def _labels(self) -> Mapping[str, str]:
        return {"alertname": "CacheDown", "arm": "optimized", "cache": "board"}

    @property
    def _is_firing(self) -> bool:
        return self.fires and self.state("redis") != "running"


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    stack = Stack(tmp_path)
    with serving(stack.app()) as url:
        (tmp_path / "address").write_text(url.removeprefix("http://"))
        yield stack


def started(stack: Stack, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "flightdeck", "drill", "run", *arguments, "--compose"]
    environment = os.environ | {"PATH": f"{stack.directory / 'bin'}:{os.environ['PATH']}"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_service_is_stopped_until_its_alert_is_delivered_and_then_started(stack: Stack) -> None:
    with started(stack, "redis-stopped", "--json") as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    (outcome,) = json.loads(out)
    (alert,) = outcome["alerts"]
    assert stack.calls == ["stop redis", "start redis"]
    assert stack.state("redis") == "running"
    assert alert["alert"] == "CacheDown"
    assert alert["delivered_s"] > 0
    assert alert["resolution_delivered_s"] > 0
    assert alert["notification"]["annotations"]["summary"] == "no cache"


def test_all_runs_every_drill_but_the_excluded_ones(stack: Stack) -> None:
    others = [part for name in COMPOSE_DRILLS if name != "redis-stopped" for part in ("--without", name)]
    with started(stack, "all", *others, "--json") as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert [outcome["drill"] for outcome in json.loads(out)] == ["redis-stopped"]


@pytest.mark.parametrize(("for_s", "sends_traffic"), [(1.0, True), (60.0, False)], ids=["accelerated", "real"])
def test_with_accelerated_rules_the_drill_sends_traffic_of_its_own(
    stack: Stack, for_s: float, sends_traffic: bool
) -> None:
    stack.for_s = for_s
    with started(stack, "redis-stopped") as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert (stack.edge_requests > 20) is sends_traffic


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=lambda how: how.name)
def test_a_drill_that_is_cancelled_ends_its_fault(stack: Stack, how: signal.Signals) -> None:
    stack.fires = False
    with started(stack, "redis-stopped") as process:
        deadline = time.monotonic() + 60
        while stack.state("redis") == "running" and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(how)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "every fault is ended" in err
    assert stack.calls == ["stop redis", "start redis"]


def test_a_drill_that_is_cancelled_while_a_container_is_stopping_starts_it_again(stack: Stack) -> None:
    calls = stack.directory / "calls"
    with started(stack, "redis-stopped") as process:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not (calls.exists() and "stop redis" in calls.read_text()):
            time.sleep(0.02)
        assert stack.state("redis") == "running"
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert stack.calls == ["stop redis", "start redis"]
    assert stack.state("redis") == "running"


@pytest.mark.parametrize(
    ("state", "message"), [("exited", "redis is exited"), ("paused", "redis is paused")], ids=lambda text: text
)
def test_a_service_that_is_already_stopped_is_neither_stopped_nor_started(
    stack: Stack, state: str, message: str
) -> None:
    (stack.directory / "redis").write_text(state)
    with started(stack, "redis-stopped") as process:
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"{message}; start the stack" in " ".join(out.split())
    assert stack.calls == []


def test_without_a_stack_the_error_names_the_command_that_starts_it(stack: Stack) -> None:
    (stack.directory / "prometheus").unlink()
    with started(stack, "redis-stopped") as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.strip() == (
        "prometheus is not there; start the stack and wait until it is healthy: docker compose up -d --wait"
    )


def test_a_drill_of_the_embedded_stack_only_is_an_error(stack: Stack) -> None:
    with started(stack, "loop-blocked") as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "no drill loop-blocked; there are service-down" in err


def test_each_drill_names_a_service_of_the_compose_file_and_alerts_that_exist() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]
    known = {f"{alert.name} {alert.labels.get('window', '')}".strip() for alert in every_alert(load())}
    for drill in COMPOSE_DRILLS.values():
        assert drill.service in services
        assert set(drill.alerts) <= known
