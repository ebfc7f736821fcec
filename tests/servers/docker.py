"""A Docker engine with Compose: the running one, or one from Debian packages that the tests start and stop."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.program import installed, missing

STANDINS = Path(__file__).parents[2] / "deploy" / "standins"
ENGINE = Path(os.environ.get("FLIGHTDECK_ENGINE", "~/.cache/flightdeck/engine")).expanduser()
"""Where `engine.sh install` unpacked an engine, and where that one keeps its images."""


def _responds(environment: dict[str, str], *command: str) -> bool:
    """Return whether `docker` runs the command in this environment."""
    docker = installed("docker", directories=[f"{ENGINE}/bin"])
    try:
        subprocess.run([docker, *command], env=environment, check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def _has_compose(environment: dict[str, str]) -> bool:
    return _responds(environment, "compose", "version")


def _unpacked_client() -> dict[str, str]:
    return os.environ | {
        "DOCKER_HOST": f"unix://{ENGINE}/docker.sock",
        "DOCKER_CONFIG": str(ENGINE / "config"),
        "PATH": f"{ENGINE}/bin:{os.environ['PATH']}",
    }


@pytest.fixture(scope="session")
def compose_environment() -> dict[str, str]:
    """The environment in which `docker compose` reads files, for which it needs no engine."""
    found = next(filter(_has_compose, (dict(os.environ), _unpacked_client())), None)
    if found is None:
        missing("docker has no Compose; on Debian: the package docker-compose of trixie")
    return found


@pytest.fixture(scope="session")
def docker_environment() -> Iterator[dict[str, str]]:
    """The environment in which `docker` works, with every image that the stack needs and this machine can get.

    A running engine pulls its images. One that the tests start is for machines without a registry: its images
    are built from Debian packages.
    """
    environment = dict(os.environ)
    if _responds(environment, "info") and _has_compose(environment):
        yield environment
        return
    if not (ENGINE / "unpacked").exists():
        missing(f"no Docker engine responds; on Debian, as root: deploy/standins/engine.sh install {ENGINE}")
    installed("go")  # builds the collector
    subprocess.run([STANDINS / "engine.sh", "start", ENGINE], check=True, capture_output=True, timeout=60)
    try:
        environment = _unpacked_client()
        subprocess.run(
            [STANDINS / "standins.sh", "--compose", "docker-compose.yml"],
            env=environment,
            cwd=STANDINS.parents[1],
            check=True,
            timeout=1500,
        )
        yield environment
    finally:
        subprocess.run([STANDINS / "engine.sh", "stop", ENGINE], check=True, timeout=90)
