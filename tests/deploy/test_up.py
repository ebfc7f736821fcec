import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def container(service: str, *ports: tuple[int, int]) -> str:
    published = [{"URL": "127.0.0.1", "TargetPort": inside, "PublishedPort": outside} for inside, outside in ports]
    return json.dumps({"Service": service, "Publishers": published})


def printed(tmp_path: Path, *containers: str) -> subprocess.CompletedProcess[str]:
    """What `make up` ends with, where `docker` lists these containers."""
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\ncat <<'END'\n" + "\n".join(containers) + "\nEND\n")
    docker.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    command = [sys.executable, "-m", "deploy.up"]
    return subprocess.run(command, cwd=ROOT, env=environment, text=True, capture_output=True, check=False)


def test_the_last_words_link_what_is_published_and_say_where_to_begin(tmp_path: Path) -> None:
    done = printed(
        tmp_path,
        container("grafana", (3000, 13000)),
        container("edge", (8080, 8000)),
        container("bugsink", (8000, 8030)),
        container("redis"),
        container("collector", (4318, 0)),
    )
    assert done.returncode == 0, done.stderr
    assert "5 containers run" in done.stdout
    assert "http://localhost:13000" in done.stdout
    assert "button that fails on purpose. http://localhost:8030 shows the error" in done.stdout
    assert ":0" not in done.stdout


def test_what_does_not_run_is_not_linked(tmp_path: Path) -> None:
    done = printed(tmp_path, container("baseline", (8000, 8001)))
    assert "http://localhost:8001" in done.stdout
    assert not [word for word in ("Grafana", "Bugsink", "None") if word in done.stdout.split("Passwords")[0]]


def test_an_empty_stack_says_how_to_start_it(tmp_path: Path) -> None:
    done = printed(tmp_path)
    assert done.returncode == 1
    assert "`make up` starts it" in done.stderr


@pytest.mark.parametrize("name", ["grafana", "receiver", "bugsink", "edge", "locust", "flower", "prometheus"])
def test_every_place_is_a_port_of_the_compose_file(name: str) -> None:
    from deploy.up import PLACES  # noqa: PLC0415 beside the test that needs it

    text = (ROOT / "docker-compose.yml").read_text("utf-8")
    [port] = [port for service, port, *_ in PLACES if service == name]
    assert f'_PORT}}:{port}"]' in text
