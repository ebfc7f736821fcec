"""Real Alertmanagers and amtool, started by the tests on free ports."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.servers.executable import executable
from tests.servers.prometheus import own_metrics


@pytest.fixture(scope="session")
def amtool() -> Callable[..., str]:
    """Return a function that runs amtool with arguments and returns what it prints; it fails the test on an error."""
    program = executable("amtool", package="prometheus-alertmanager")

    def run(*arguments: str | Path) -> str:
        done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=30, check=False)
        if done.returncode:
            pytest.fail(done.stdout + done.stderr)
        return done.stdout

    return run


@pytest.fixture(scope="session")
def alertmanager_exposition(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a real Alertmanager says about itself."""
    directory = tmp_path_factory.mktemp("alertmanager")
    (directory / "alertmanager.yml").write_text("{route: {receiver: nobody}, receivers: [{name: nobody}]}", "utf-8")
    program = executable("prometheus-alertmanager", package="prometheus-alertmanager")
    options = [f"--config.file={directory / 'alertmanager.yml'}", f"--storage.path={directory / 'data'}"]
    return own_metrics([program, *options, "--cluster.listen-address="], "alertmanager_config_last_reload_successful")
