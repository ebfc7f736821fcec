"""Real Alertmanagers and amtool, started by the tests on free ports."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.servers.port import free_port
from tests.servers.program import installed
from tests.servers.prometheus import own_metrics


@pytest.fixture(scope="session")
def amtool() -> Callable[..., str]:
    """Return a function that runs amtool with arguments and returns what it prints; it fails the test on an error."""
    program = installed("amtool")

    def run(*arguments: str | Path) -> str:
        done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            pytest.fail(done.stdout + done.stderr)
        return done.stdout

    return run


@pytest.fixture(scope="session")
def alertmanager_exposition(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The metrics of a real Alertmanager."""
    directory = tmp_path_factory.mktemp("alertmanager")
    (directory / "alertmanager.yml").write_text("{route: {receiver: none}, receivers: [{name: none}]}", "utf-8")
    program = installed("prometheus-alertmanager")
    options = [f"--config.file={directory / 'alertmanager.yml'}", f"--storage.path={directory / 'data'}"]
    return own_metrics([program, *options, "--cluster.listen-address="], "alertmanager_config_last_reload_successful")


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Return a function that starts Alertmanager with a configuration and returns its URL; the test ends it."""
    program = installed("prometheus-alertmanager")
    servers: list[subprocess.Popen[bytes]] = []

    def start(configuration: str) -> str:
        path = tmp_path / "alertmanager.yml"
        path.write_text(configuration, "utf-8")
        url = f"http://127.0.0.1:{free_port()}"
        options = [f"--config.file={path}", f"--storage.path={tmp_path / 'data'}", "--cluster.listen-address="]
        command: list[str | Path] = [program, *options, f"--web.listen-address={url.removeprefix('http://')}"]
        servers.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with suppress(httpx.TransportError):
                if httpx.get(f"{url}/-/ready").is_success:
                    return url
            time.sleep(0.05)
        pytest.fail("Alertmanager was not ready within 20 s")

    yield start
    for server in servers:
        server.terminate()
        server.wait()
