"""Workflows of GitHub Actions, checked with actionlint."""

import os
import subprocess
from pathlib import Path
from typing import Final

import pytest
import yaml

from tests.servers.program import installed, missing

ROOT: Final = Path(__file__).parents[2]
MODULE: Final = "github.com/rhysd/actionlint/cmd/actionlint"
VERSION: Final = "v1.7.12"
WORKFLOWS: Final = [*sorted((ROOT / ".github/workflows").glob("*.yml")), ROOT / "examples/compare-workflow.yml"]


@pytest.fixture(scope="session")
def actionlint() -> str:
    """Return actionlint, built once per machine."""
    go = installed("go")
    directory = Path.home() / ".cache/flightdeck/actionlint" / VERSION
    if not (directory / "actionlint").exists():
        environment = os.environ | {"GOBIN": str(directory), "GOFLAGS": "-mod=mod"}
        command = [go, "install", f"{MODULE}@{VERSION}"]
        built = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280, check=False)
        if built.returncode:
            missing(f"actionlint cannot be built: {built.stderr.strip()[-200:]}")
    return str(directory / "actionlint")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_is_valid(actionlint: str, workflow: Path) -> None:
    done = subprocess.run([actionlint, "-no-color", str(workflow)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_example_names_inputs_that_the_action_has() -> None:
    action = yaml.safe_load((ROOT / ".github/actions/compare/action.yml").read_text("utf-8"))
    steps = yaml.safe_load(WORKFLOWS[-1].read_text("utf-8"))["jobs"]["compare"]["steps"]
    given = set(steps[-1]["with"])
    required = {name for name, each in action["inputs"].items() if each.get("required")}
    assert required <= given <= set(action["inputs"])
