import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.up import ADDRESSES, main

ROOT = Path(__file__).parents[2]


def container(service: str, *ports: tuple[int, int]) -> str:
    published = [{"URL": "127.0.0.1", "TargetPort": inside, "PublishedPort": outside} for inside, outside in ports]
    return json.dumps({"Service": service, "Publishers": published})


def printed(tmp_path: Path, *containers: str) -> subprocess.CompletedProcess[str]:
    """Run `deploy.up` where `docker` lists these containers."""
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\ncat <<'END'\n" + "\n".join(containers) + "\nEND\n")
    docker.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    command = [sys.executable, "-m", "deploy.up"]
    return subprocess.run(command, cwd=ROOT, env=environment, text=True, capture_output=True, check=False)


def test_published_ports_are_listed_with_what_to_look_at_first(tmp_path: Path) -> None:
    done = printed(
        tmp_path,
        container("grafana", (3000, 13000)),
        container("edge", (8080, 8000)),
        container("bugsink", (8000, 8030)),
        container("redis"),
        container("collector", (4318, 0)),
    )
    assert done.returncode == 0, done.stderr
    assert "5 containers are running" in done.stdout
    assert "http://localhost:13000" in done.stdout
    assert "button that raises an error. http://localhost:8030 shows it" in done.stdout
    assert ":0" not in done.stdout


def test_services_that_are_not_running_are_not_listed(tmp_path: Path) -> None:
    done = printed(tmp_path, container("baseline", (8000, 8001)))
    assert "http://localhost:8001" in done.stdout
    assert not [word for word in ("Grafana", "Bugsink", "None") if word in done.stdout.split("To print a password")[0]]


def test_an_empty_stack_names_the_command_that_starts_it(tmp_path: Path) -> None:
    done = printed(tmp_path)
    assert done.returncode == 1
    assert "`make up` starts it" in done.stderr


@pytest.mark.parametrize("name", ["grafana", "receiver", "bugsink", "edge", "locust", "flower", "prometheus"])
def test_every_address_is_a_port_of_the_compose_file(name: str) -> None:
    text = (ROOT / "docker-compose.yml").read_text("utf-8")
    [port] = [port for service, port, *_ in ADDRESSES if service == name]
    assert f'_PORT}}:{port}"]' in text


def test_in_a_container_services_with_a_name_in_the_network_are_listed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def address(name: str) -> str:
        if name in {"edge", "baseline"}:
            return "172.18.0.2"
        raise socket.gaierror

    monkeypatch.setattr("socket.gethostbyname", address)
    for number, (service, *_) in enumerate(ADDRESSES):
        monkeypatch.setenv(f"{service.upper()}_PORT", str(8100 + number))
    main(["--in-container"])
    printed = capsys.readouterr().out
    listed = re.findall(r"^  (\S.*?) +http://localhost:(\d+) ", printed, re.MULTILINE)
    assert listed == [("the service", "8101"), ("baseline", "8102"), ("Locust", "8107")]
    assert "Grafana" not in printed
