"""Arguments that cannot be: one sentence and exit code 2, in every command."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from flightdeck.cli import app
from tests.each import each

LONG_LABEL = f"{'a' * 70}.example"
"""A label of a host name has at most 63 characters."""


def _commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path, command
    else:
        for name, one in inner.items():
            yield from _commands(one, (*path, name))


def _options(kind: str) -> list[tuple[tuple[str, ...], str]]:
    return [
        (path, parameter.opts[0])
        for path, command in _commands(typer.main.get_command(app))
        for parameter in command.params
        if parameter.opts[0].startswith("--") and kind in str(parameter.bare_type())
    ]


NUMBERS = _options("float")
PORTS = [(path, option) for path, option in _options("int") if "port" in option]


def _failed(arguments: list[str], *, env: dict[str, str] | None = None) -> str:
    result = CliRunner().invoke(app, arguments, env=env)
    assert result.exit_code == 2, (result.output, result.exception)
    return result.output


def test_the_walk_finds_options() -> None:
    assert {(("load",), "--duration"), (("stack", "verify"), "--wait"), (("upstream",), "--median-ms")} <= set(NUMBERS)
    assert {(("serve",), "--port"), (("worker",), "--metrics-port")} <= set(PORTS)


@each("number", lambda: ["inf", "-inf", "nan", "1e999", "-1", "one", ""])
@pytest.mark.parametrize(("path", "option"), NUMBERS)
def test_a_number_that_cannot_be(path: tuple[str, ...], option: str, number: str) -> None:
    _failed([*path, f"{option}={number}"])


@each("port", lambda: ["-1", "65536", "99999", "abc", "80.5", "[::1]"])
@pytest.mark.parametrize(("path", "option"), PORTS)
def test_a_port_that_cannot_be(path: tuple[str, ...], option: str, port: str) -> None:
    _failed([*path, f"{option}={port}"])


@pytest.mark.parametrize("host", ["[::1", LONG_LABEL, "host..example", "ü..example", "a b"])
@pytest.mark.parametrize("path", [("serve",), ("upstream",), ("receiver",)])
def test_a_host_to_listen_on_that_cannot_be(path: tuple[str, ...], host: str, data_dir: Path) -> None:
    _failed([*path, "--host", host, "--port", "0", *([] if path == ("receiver",) else ["--data-dir", str(data_dir)])])


@pytest.mark.parametrize("host", ["[::1", LONG_LABEL, "", "a b", "ü"])
def test_a_host_of_the_stack_that_cannot_be(host: str) -> None:
    _failed(["stack", "verify", "--wait", "0", "--host", host])


@pytest.mark.parametrize("port", ["abc", "99999", "-1", "0"])
def test_a_port_of_the_stack_that_cannot_be(port: str) -> None:
    _failed(["stack", "verify", "--wait", "0"], env={"GRAFANA_PORT": port})


@pytest.mark.parametrize(
    "url",
    [
        "http://[::1",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:abc",
        f"http://{LONG_LABEL}:80",
        "http://bücher.example",
        "ftp://127.0.0.1",
        "",
    ],
)
@pytest.mark.parametrize("path", [("load",), ("lab", "compare")])
def test_the_url_of_a_service_that_cannot_be(path: tuple[str, ...], url: str) -> None:
    rest = ["http://127.0.0.1:1", "--request", "GET /"] if path == ("lab", "compare") else ["--duration", "1"]
    _failed([*path, url, *rest])


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://127.0.0.1:99999/flights",
        "postgresql://127.0.0.1:0/flights",
        "postgresql://127.0.0.1:abc/flights",
        "postgresql://[::1/flights",
        f"postgresql://{LONG_LABEL}/flights",
        "postgresql://127.0.0.1",
        "mysql://127.0.0.1/flights",
        "flights",
    ],
)
@pytest.mark.parametrize("command", ["load", "status", "migrate"])
def test_the_url_of_a_database_that_cannot_be(command: str, url: str) -> None:
    _failed(["data", command, "--database-url", url])


@pytest.mark.parametrize("distance", ["soon", "1", "0ms", "-1ms"])
def test_a_distance_that_is_no_time(distance: str) -> None:
    assert "--distance" in _failed(["lab", "run", "pooling", f"--distance={distance}"])


@pytest.mark.parametrize("token", ["zażółć", "a\r\nX-Injected: 1", "a\tb", "\x7f"])
def test_a_token_that_no_header_can_carry(token: str) -> None:
    output = _failed(["load", "http://127.0.0.1:1", "--duration", "1", "--token", token])
    assert token not in output


def test_settings_that_cannot_be_stop_every_server() -> None:
    for command in ("serve", "upstream", "worker"):
        assert "DATABASE_URL" in _failed([command], env={"DATABASE_URL": "flights"})
