"""The files that run several load generators are valid, and their commands exist."""

import re
import shlex
import subprocess
import sys
from typing import Any, Final

import kubernetes_validate  # type: ignore[import-untyped]  # has no types
import pytest
import yaml
from typer.main import get_command

from flightdeck.cli import app
from tests.deploy.stack_files import ROOT, environment

COMPOSE: Final = ROOT / "deploy/generators/compose.yml"
KUBERNETES: Final = ROOT / "deploy/generators/kubernetes.yaml"


@pytest.fixture(scope="module")
def objects() -> dict[str, Any]:
    return {one["kind"]: one for one in yaml.safe_load_all(KUBERNETES.read_text("utf-8"))}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """Return the services, with the defaults of their variables."""
    values = environment()
    text = re.sub(
        r"\$\{(\w+)(?::-([^}]*))?\}",
        lambda found: values[found[1]] if found[2] is None else found[2],
        COMPOSE.read_text("utf-8"),
    )
    found: dict[str, Any] = yaml.safe_load(text)["services"]
    return found


def pods(objects: dict[str, Any]) -> list[dict[str, Any]]:
    return [objects[kind]["spec"]["template"] for kind in ("Deployment", "Job")]


def parsed(command: list[str]) -> dict[str, Any]:
    """Return the options of a `flightdeck lab` command."""
    program, group, name, *arguments = command
    assert (program, group) == ("flightdeck", "lab")
    subcommand = get_command(app).commands["lab"].commands[name]  # type: ignore[attr-defined]  # groups have commands
    parameters: dict[str, Any] = subcommand.make_context(name, list(arguments)).params
    return parameters


def test_the_objects_are_valid(objects: dict[str, Any]) -> None:
    for one in objects.values():
        kubernetes_validate.validate(one, "1.30", strict=True)


def test_the_generators_reach_the_job_that_waits_for_all_of_them(objects: dict[str, Any]) -> None:
    service, (generator, job) = objects["Service"], pods(objects)
    master = parsed(generator["spec"]["containers"][0]["args"])["master"]
    options = parsed(job["spec"]["containers"][0]["args"])
    [port] = [each["port"] for each in service["spec"]["ports"]]
    assert master == f"{service['metadata']['name']}:{port}"
    assert options["generators_at"] == f"0.0.0.0:{port}"
    assert options["generators"] == objects["Deployment"]["spec"]["replicas"]
    assert service["spec"]["selector"].items() <= job["metadata"]["labels"].items()
    assert objects["Deployment"]["spec"]["selector"]["matchLabels"].items() <= generator["metadata"]["labels"].items()


def test_the_pods_have_the_image_of_the_load_and_no_privileges(objects: dict[str, Any]) -> None:
    for pod in pods(objects):
        [container] = pod["spec"]["containers"]
        assert container["image"] == f"flightdeck/load:{environment()['FLIGHTDECK_VERSION']}"
        assert pod["spec"]["securityContext"]["runAsNonRoot"]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_the_containers_wait_for_as_many_generators_as_there_are(services: dict[str, Any]) -> None:
    master = parsed(services["generator"]["command"])["master"]
    options = parsed(shlex.split(services["lab"]["command"]))
    assert master.partition(":")[0] in services["lab"]["networks"]["default"]["aliases"]
    assert options["generators_at"].partition(":")[2] == master.partition(":")[2]
    assert options["generators"] == int(services["generator"]["deploy"]["replicas"])
    assert {one["image"] for one in services.values()} == {f"flightdeck/load:{environment()['FLIGHTDECK_VERSION']}"}


def test_the_compose_linter_finds_nothing() -> None:
    linter = [sys.executable, "-m", "compose_lint", "check", "--fail-on", "low", "--config", ".compose-lint.yml"]
    done = subprocess.run([*linter, str(COMPOSE)], cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
