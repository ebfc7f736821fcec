"""What `make up` checks before it starts anything, with a `docker` that responds as each machine's does."""

import json
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from deploy import preflight
from tests.deploy.stack_files import services
from tests.servers.docker import ENGINE
from tests.servers.program import installed

ROOT = Path(__file__).parents[2]
PLUGIN = ENGINE / "config/cli-plugins/docker-compose"
PODMAN = {"Version": "5.2.0", "Components": [{"Name": "Podman Engine"}]}
GOOD: Mapping[str, str] = {
    "version": json.dumps({"Version": "26.1.5+dfsg1", "Components": [{"Name": "Engine"}]}),
    "compose version": "v2.26.1-4",
    "info": "[name=seccomp,profile=builtin name=cgroupns]",
    "compose config": "{}",
    "compose ps": "",
}


def run(tmp_path: Path, responses: Mapping[str, str], **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the checks where `docker` prints these responses to its subcommands."""
    cases = "\n".join(f"'{command}'*) cat <<'END'\n{printed}\nEND\n;;" for command, printed in responses.items())
    (tmp_path / "docker").write_text(f'#!/bin/sh\ncase "$*" in\n{cases}\n*) exit 1;;\nesac\n')
    (tmp_path / "docker").chmod(0o755)
    return subprocess.run(
        [sys.executable, "-m", "deploy.preflight"],
        cwd=ROOT,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", **environment},
        text=True,
        capture_output=True,
        check=False,
    )


def config(**ports: int) -> str:
    services = {name: {"ports": [{"published": str(port), "target": 80}]} for name, port in ports.items()}
    return json.dumps({"services": {**services, "redis": {}}})


def test_nothing_is_printed_where_everything_is_new_enough(tmp_path: Path) -> None:
    done = run(tmp_path, GOOD)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"version": json.dumps({"Version": "20.10.24", "Components": None})}, "Docker Engine 20.10.24 is too old"),
        ({"version": json.dumps({"Version": "24.0.9"})}, "Docker Engine 24.0.9 is too old"),
        ({"version": json.dumps(PODMAN)}, "the engine is Podman"),
        ({"version": "null"}, "no Docker engine responds"),
        ({"compose version": "2.25.0"}, "Docker Compose is 2.25.0: 2.26 or newer"),
        ({"compose version": "1.29.2"}, "Docker Compose is 1.29.2: 2.26 or newer"),
        ({"compose version": ""}, "Docker Compose is missing"),
        ({"info": "[name=seccomp,profile=builtin name=selinux]"}, "chcon --recursive --type container_file_t ."),
    ],
    ids=["20", "24", "Podman", "no engine", "Compose 2.25", "Compose 1", "no Compose", "SELinux"],
)
def test_what_is_too_old_or_missing_is_named(tmp_path: Path, changed: dict[str, str], expected: str) -> None:
    done = run(tmp_path, {**GOOD, **changed})
    assert done.returncode == 1
    assert expected in done.stderr
    assert done.stderr.count("\n  - ") == 1


def test_a_machine_without_docker_is_named(tmp_path: Path) -> None:
    done = run(tmp_path, GOOD, PATH=str(tmp_path / "nothing"))
    assert "no Docker engine responds" in done.stderr


def test_a_port_that_is_taken_is_named_with_its_variable(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        taken = {**GOOD, "compose config": config(grafana=port)}
        done = run(tmp_path, taken, GRAFANA_PORT=str(port))
        assert f"port {port} of `grafana` is taken by another program: set GRAFANA_PORT in .env" in done.stderr
        own: dict[str, Any] = {"Publishers": [{"PublishedPort": port}]}
        assert run(tmp_path, {**taken, "compose ps": json.dumps(own)}).returncode == 0, "the stack runs already"
        assert run(tmp_path, taken, DOCKER_HOST="ssh://server").returncode == 0, "ports of another machine"
    assert run(tmp_path, taken).returncode == 0


def test_the_versions_are_those_that_the_compose_file_needs() -> None:
    text = (ROOT / "docker-compose.yml").read_text("utf-8")
    assert "start_interval" in text
    assert preflight.ENGINE == (25, 0)


@pytest.mark.parametrize(
    ("text", "expected"), [("v2.26.1-4", (2, 26, 1)), ("26.1.5+dfsg1", (26, 1, 5)), ("2.30", (2, 30)), ("dev", ())]
)
def test_versions_are_read_as_distributions_write_them(text: str, expected: tuple[int, ...]) -> None:
    assert preflight.version(text) == expected


def test_every_text_file_has_lf_in_a_checkout_on_windows() -> None:
    listed = subprocess.run(
        [installed("git"), "ls-files", "--eol"], cwd=ROOT, text=True, capture_output=True, check=True
    )
    for line in listed.stdout.splitlines():
        index, _, attributes = line.partition("\t")[0].partition(" w/")
        is_binary = "i/-text" in index
        assert ("eol=lf" in attributes) != is_binary or "attr/-text" in attributes, line
        assert "crlf" not in index, line


@pytest.mark.skipif(
    not PLUGIN.exists(), reason=f"deploy/standins/engine.sh install {ENGINE} unpacks the oldest Compose"
)
def test_the_oldest_compose_that_may_start_the_stack_reads_its_file() -> None:
    def compose(*arguments: str) -> str:
        command = [str(PLUGIN), "--file=docker-compose.yml", "--profile=all", "--profile=lab", *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert preflight.version(compose("version", "--short"))[:2] == preflight.COMPOSE
    assert set(compose("config", "--services").split()) == set(services())
    resolved = json.loads(compose("config", "--format=json"))["services"]
    assert {one["healthcheck"]["start_interval"] for one in resolved.values() if one["image"].startswith("prom/")} == {
        "1s"
    }
