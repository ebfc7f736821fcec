"""The exit code of `flightdeck stack verify` agrees with its results."""

import json

import pytest
from typer.testing import CliRunner

from flightdeck.cli import app
from lab.stack.addresses import SERVERS
from lab.stack.verify import all_checks
from tests.servers.port import free_port

COMMAND = ["stack", "verify", "--wait", "0"]


@pytest.fixture
def unused_ports() -> dict[str, str]:
    """Ports on which no stack listens."""
    port = str(free_port())
    return {f"{name.upper()}_PORT": port for name in SERVERS}


def test_a_stopped_stack_exits_with_1_and_lists_every_check_as_json(unused_ports: dict[str, str]) -> None:
    result = CliRunner().invoke(app, [*COMMAND, "--json"], env=unused_ports)
    assert result.exit_code == 1
    results = json.loads(result.stdout)
    assert [(one["service"], one["description"]) for one in results] == [
        (one.service, one.description) for one in all_checks()
    ]
    assert not any(one["ok"] for one in results)


def test_the_profile_is_that_of_the_environment(unused_ports: dict[str, str]) -> None:
    result = CliRunner().invoke(app, [*COMMAND, "--json"], env={**unused_ports, "COMPOSE_PROFILES": "core"})
    assert "tempo" not in {one["service"] for one in json.loads(result.stdout)}


def test_a_port_that_is_not_set_exits_with_2(unused_ports: dict[str, str]) -> None:
    result = CliRunner().invoke(app, COMMAND, env={**unused_ports, "GRAFANA_PORT": ""})
    assert result.exit_code == 2
    assert "GRAFANA_PORT" in result.stderr
