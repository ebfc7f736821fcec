"""`flightdeck stack verify` says by its exit code what it says in its table."""

import json

import pytest
from typer.testing import CliRunner

from flightdeck.cli import app
from lab.stack.addresses import SERVERS
from lab.stack.verify import every_check
from tests.servers.executable import free_port

COMMAND = ["stack", "verify", "--wait", "0"]


@pytest.fixture
def nobody() -> dict[str, str]:
    """The ports of a stack that is not there."""
    port = str(free_port())
    return {f"{name.upper()}_PORT": port for name in SERVERS}


def test_a_stack_that_is_not_there_ends_with_1_and_says_so_to_programs(nobody: dict[str, str]) -> None:
    result = CliRunner().invoke(app, [*COMMAND, "--json"], env=nobody)
    assert result.exit_code == 1
    findings = json.loads(result.stdout)
    assert [(one["part"], one["claim"]) for one in findings] == [(one.part, one.claim) for one in every_check()]
    assert not any(one["ok"] for one in findings)


def test_the_profile_is_that_of_the_environment(nobody: dict[str, str]) -> None:
    result = CliRunner().invoke(app, [*COMMAND, "--json"], env={**nobody, "COMPOSE_PROFILES": "core"})
    assert "tempo" not in {one["part"] for one in json.loads(result.stdout)}


def test_an_unknown_port_ends_with_2(nobody: dict[str, str]) -> None:
    result = CliRunner().invoke(app, COMMAND, env={**nobody, "GRAFANA_PORT": ""})
    assert result.exit_code == 2
    assert "GRAFANA_PORT" in result.stderr
