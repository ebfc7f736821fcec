"""docs/adopting.md is executed: its files are written, its commands run, its output compared."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

import httpx
import pytest

from docsgen.reference import render
from tests.servers.port import free_port
from tests.servers.program import installed

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "adopting.md"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
FILES = {code.splitlines()[0].removeprefix("# "): code for language, code in BLOCKS if language == "python"}
COMMANDS = [
    (command, expected.strip("\n").splitlines())
    for language, text in BLOCKS
    if language == "console"
    for command, expected in re.findall(r"^\$ ([^\n]*)\n((?:(?!\$ )[^\n]*\n)*)", text, re.MULTILINE)
]


@dataclass
class Workspace:
    """A directory with the page's files, and the ports used instead of those on the page."""

    folder: Path
    ports: dict[str, str]

    def with_free_ports(self, command: str) -> str:
        for port, free in self.ports.items():
            command = command.replace(port, free)
        return command

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "OTEL_EXPORTER_PROMETHEUS_PORT": self.ports["9464"],
        }
        return subprocess.run(
            [installed("bash"), "-c", self.with_free_ports(command)],
            cwd=self.folder, env=environment, capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    workspace = Workspace(tmp_path_factory.mktemp("workspace"), {"8080": str(free_port()), "9464": str(free_port())})
    for name, code in FILES.items():
        (workspace.folder / name).write_text(code)
    serve = next(command for command, _ in COMMANDS if command.startswith("uvicorn"))
    arguments = workspace.with_free_ports(serve.removesuffix(" &")).split()
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments, "--log-level", "warning"],
        cwd=workspace.folder,
        env={**os.environ, "OTEL_EXPORTER_PROMETHEUS_PORT": workspace.ports["9464"]},
    )
    deadline = monotonic() + 60
    try:
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{workspace.ports['9464']}/metrics")
            except httpx.ConnectError:
                assert monotonic() < deadline, "the service does not start"
                sleep(0.1)
            else:
                break
        yield workspace
    finally:
        process.terminate()
        process.wait(60)


def without_numbers(line: str) -> str:
    """Return the line with the values that differ from run to run replaced."""
    return re.sub(r"\b[0-9a-f]{32}\b|\d+\.\d\d\b", "#", line.strip())


@pytest.mark.parametrize(("command", "expected"), [(command, expected) for command, expected in COMMANDS if expected])
def test_a_command_prints_what_the_page_shows(workspace: Workspace, command: str, expected: list[str]) -> None:
    installed("curl")
    done = workspace.run(command)
    assert [without_numbers(line) for line in done.stdout.strip().splitlines()] == list(map(without_numbers, expected))
    assert done.returncode == 0


@pytest.mark.parametrize("name", [name for name in FILES if not name.startswith("test_")])
def test_a_file_of_the_page_can_be_imported(workspace: Workspace, name: str) -> None:
    done = workspace.run(f"python -W error -c 'import {name.removesuffix('.py')}'")
    assert (done.returncode, done.stderr) == (0, "")


def test_the_test_of_the_page_passes(workspace: Workspace) -> None:
    done = workspace.run("python -m pytest -q -o anyio_mode=auto test_shop.py")
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


def test_every_setting_and_error_that_the_page_names_exists() -> None:
    settings = render("telemetry-settings.md")
    for variable in set(re.findall(r"\b(?:OTEL|OBSERVABILITY)_[A-Z_]+\b", PAGE.read_text())):
        assert f"`{variable}`" in settings
