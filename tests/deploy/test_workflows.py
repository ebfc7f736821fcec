"""Workflows of GitHub Actions, checked with actionlint."""

import subprocess
from pathlib import Path
from typing import Final

import pytest
import yaml

from tests.servers.go_program import built

ROOT: Final = Path(__file__).parents[2]
WORKFLOWS: Final = [*sorted((ROOT / ".github/workflows").glob("*.yml")), ROOT / "examples/compare-workflow.yml"]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_is_valid(workflow: Path) -> None:
    command = [built("actionlint"), "-no-color", str(workflow)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_example_names_inputs_that_the_action_has() -> None:
    action = yaml.safe_load((ROOT / ".github/actions/compare/action.yml").read_text("utf-8"))
    steps = yaml.safe_load(WORKFLOWS[-1].read_text("utf-8"))["jobs"]["compare"]["steps"]
    given = set(steps[-1]["with"])
    required = {name for name, each in action["inputs"].items() if each.get("required")}
    assert required <= given <= set(action["inputs"])
