"""Drills on a compose stack that is played: a `docker` that keeps the state of services in files, and a Prometheus and
a receiver that know what it was told. The drill itself, its command line and its waiting are the real ones.
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

from lab.drills.compose_catalogue import COMPOSE_DRILLS
from prometheus.build import ROOT
from prometheus.catalogue import every_alert
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
    """What is played: services in files, alerts that follow from them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.notices = True
        self.waits_s = 1.0
        self.asked = 0
        """Requests that met the edge."""
        self._arrivals: list[dict[str, Any]] = []
        for service in SERVICES:
            (directory / service).write_text("running")
        docker = directory / "bin" / "docker"
        docker.parent.mkdir()
        docker.write_text(DOCKER.format(python=sys.executable, state=str(directory)))
        docker.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        """The words of each `docker` that changed something."""
        lines = (self.directory / "calls").read_text().splitlines()
        return [line for line in lines if line.split()[0] not in {"version", "ps", "port"}]

    def state(self, service: str) -> str:
        return (self.directory / service).read_text()

    def app(self) -> Starlette:
        async def rules(_: Request) -> JSONResponse:
            return JSONResponse({"data": {"groups": [{"rules": [{"name": "ServiceDown", "duration": self.waits_s}]}]}})

        async def alerts(_: Request) -> JSONResponse:
            return JSONResponse({"data": {"alerts": [{"labels": self._labels, "state": "firing"}] * self._fires}})

        async def notifications(_: Request) -> JSONResponse:
            said = self._arrivals[-1]["alerts"][0]["status"] if self._arrivals else "resolved"
            status = "firing" if self._fires else "resolved"
            if status != said:
                arrived = {"labels": self._labels, "status": status, "annotations": {"summary": "no cache"}}
                self._arrivals.append({"at": f"{len(self._arrivals):09}", "alerts": [arrived]})
            return JSONResponse({"heartbeat_age_s": 1.0, "arrivals": self._arrivals})

        async def anything(_: Request) -> JSONResponse:
            self.asked += 1
            return JSONResponse([])

        return Starlette(
            routes=[
                Route("/airports/{path:path}", anything),
                Route("/weather/{path:path}", anything),
                Route("/api/v1/rules", rules),
                Route("/api/v1/alerts", alerts),
                Route("/notifications", notifications),
            ]
        )

    @property
    def _labels(self) -> Mapping[str, str]:
        return {"alertname": "CacheDown", "arm": "optimized", "cache": "board"}

    @property
    def _fires(self) -> bool:
        return self.notices and self.state("redis") != "running"


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


def test_a_service_is_stopped_until_its_alert_arrived_and_started_again(stack: Stack) -> None:
    with started(stack, "redis-stopped", "--json") as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    (outcome,) = json.loads(out)
    (alert,) = outcome["alerts"]
    assert stack.calls == ["stop redis", "start redis"]
    assert stack.state("redis") == "running"
    assert alert["alert"] == "CacheDown"
    assert alert["delivered_s"] > 0
    assert alert["delivered_resolved_s"] > 0
    assert alert["notification"]["annotations"]["summary"] == "no cache"


def test_all_leaves_out_what_it_is_told_to(stack: Stack) -> None:
    others = [part for name in COMPOSE_DRILLS if name != "redis-stopped" for part in ("--without", name)]
    with started(stack, "all", *others, "--json") as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert [outcome["drill"] for outcome in json.loads(out)] == ["redis-stopped"]


@pytest.mark.parametrize(("waits_s", "brings_traffic"), [(1.0, True), (60.0, False)], ids=["accelerated", "real"])
def test_where_windows_are_seconds_the_drill_brings_its_own_traffic(
    stack: Stack, waits_s: float, brings_traffic: bool
) -> None:
    stack.waits_s = waits_s
    with started(stack, "redis-stopped") as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert (stack.asked > 20) is brings_traffic


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=lambda how: how.name)
def test_a_drill_that_is_stopped_in_the_middle_repairs_what_it_broke(stack: Stack, how: signal.Signals) -> None:
    stack.notices = False
    with started(stack, "redis-stopped") as process:
        deadline = time.monotonic() + 45
        while stack.state("redis") == "running" and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(how)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "what was broken is repaired" in err
    assert stack.calls == ["stop redis", "start redis"]


def test_a_drill_that_is_stopped_while_a_container_still_stops_leaves_it_running(stack: Stack) -> None:
    calls = stack.directory / "calls"
    with started(stack, "redis-stopped") as process:
        deadline = time.monotonic() + 45
        while time.monotonic() < deadline and not (calls.exists() and "stop redis" in calls.read_text()):
            time.sleep(0.02)
        assert stack.state("redis") == "running"
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert stack.calls == ["stop redis", "start redis"]
    assert stack.state("redis") == "running"


@pytest.mark.parametrize(
    ("state", "said"), [("exited", "redis is exited"), ("paused", "redis is paused")], ids=lambda text: text
)
def test_what_somebody_else_stopped_is_neither_broken_nor_started(stack: Stack, state: str, said: str) -> None:
    (stack.directory / "redis").write_text(state)
    with started(stack, "redis-stopped") as process:
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"{said}; start the stack" in " ".join(out.split())
    assert stack.calls == []


def test_without_a_stack_the_drill_says_how_to_start_one(stack: Stack) -> None:
    (stack.directory / "prometheus").unlink()
    with started(stack, "redis-stopped") as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.strip() == (
        "prometheus is not there; start the stack and wait until it is healthy: docker compose up -d --wait"
    )


def test_a_drill_that_only_the_embedded_stack_knows_is_refused(stack: Stack) -> None:
    with started(stack, "loop-blocked") as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "no drill loop-blocked; there are service-down" in err


def test_each_drill_breaks_a_service_of_the_compose_file_and_waits_for_alerts_that_exist() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]
    known = {f"{alert.name} {alert.labels.get('window', '')}".strip() for alert in every_alert(load())}
    for drill in COMPOSE_DRILLS.values():
        assert drill.service in services
        assert set(drill.alerts) <= known
