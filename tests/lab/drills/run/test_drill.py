"""One drill through the command line, with real servers; `make drills` runs all of them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from flightdeck.drill import commands
from tests.servers.program import installed

PREFIX = "flightdeck-drill-"


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """The temporary directory of the command, to find leftovers."""
    directory = tmp_path / "temporary"
    directory.mkdir()
    return directory


@pytest.fixture
def servers() -> None:
    """The command starts them."""
    for name in ("prometheus", "prometheus-alertmanager"):
        installed(name)


def started(data_dir: Path, temporary: Path, *options: str) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "flightdeck",
        "drill",
        "run",
        "service-down",
        "--data-dir",
        str(data_dir),
        *options,
    ]
    environment = os.environ | {"TMPDIR": str(temporary)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def leftovers(temporary: Path) -> Iterator[str]:
    for process in psutil.process_iter(["cmdline"]):
        command = " ".join(process.info["cmdline"] or [])
        if str(temporary) in command:
            yield command
    yield from (str(path) for path in temporary.glob(f"{PREFIX}*"))


def is_clean(temporary: Path) -> bool:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if not list(leftovers(temporary)):
            return True
        time.sleep(0.2)
    return False


@pytest.mark.usefixtures("servers")
def test_a_drill_sees_its_alert_delivered_and_resolved(few_flights: Path, temporary: Path) -> None:
    with started(few_flights, temporary, "--json") as process:
        out, err = process.communicate(timeout=110)
    assert process.returncode == 0, err
    (outcome,) = json.loads(out)
    (alert,) = outcome["alerts"]
    assert outcome["failure"] == ""
    assert alert["alert"] == "ServiceDown"
    assert 0 < alert["firing_s"] <= alert["delivered_s"]
    assert 0 < alert["resolved_s"] <= alert["resolution_delivered_s"]
    assert alert["notification"]["annotations"]["summary"] == "service-down is down"
    assert alert["notification"]["annotations"]["runbook_url"].endswith("/runbooks/service-down")
    assert is_clean(temporary)


@pytest.mark.usefixtures("servers")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda how: how.name)
def test_a_drill_that_is_stopped_leaves_nothing_behind(few_flights: Path, temporary: Path, how: signal.Signals) -> None:
    with started(few_flights, temporary) as process:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not any("--storage.tsdb.path" in one for one in leftovers(temporary)):
            time.sleep(0.1)
        process.send_signal(how)
        process.communicate(timeout=60)
    assert process.returncode != 0
    assert is_clean(temporary)


def test_an_unknown_drill_is_an_error_that_lists_the_known_ones(temporary: Path) -> None:
    command = [sys.executable, "-m", "flightdeck", "drill", "run", "earthquake"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "no drill earthquake; there are service-down" in done.stderr
    assert list(leftovers(temporary)) == []


def test_a_missing_server_is_named_with_its_package(
    few_flights: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.drills.run.executable.SYSTEM_DIRECTORIES", ())
    monkeypatch.setenv("PATH", str(temporary))
    done = CliRunner().invoke(commands, ["run", "service-down", "--data-dir", str(few_flights)])
    assert done.exit_code == 1
    assert done.stderr.strip() == (
        "prometheus-alertmanager is not installed; on Debian: apt-get install prometheus-alertmanager"
    )


def test_missing_data_is_loaded_first(few_flights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[Path] = []
    monkeypatch.setattr("flightdeck.drill.data.load", lambda *, data_dir: loaded.append(data_dir))
    monkeypatch.setattr("flightdeck.drill.run_until_signal", lambda *_: None)
    for data_dir in (tmp_path / "new", few_flights):
        CliRunner().invoke(commands, ["run", "service-down", "--data-dir", str(data_dir)])
    assert loaded == [tmp_path / "new"]
