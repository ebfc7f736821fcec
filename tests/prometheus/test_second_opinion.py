"""The tests of a kit's rules under VictoriaMetrics: what they say about alerts is no peculiarity of Prometheus."""

import subprocess
from pathlib import Path
from typing import Final

import pytest

from lab.kit.build import kit_files, write
from prometheus.duration import REAL
from tests.lab.kit.services import ORDERS, described
from tests.servers.go_program import built

VMALERT_TOOL: Final = ("github.com/VictoriaMetrics/VictoriaMetrics/app/vmalert-tool", "v1.151.0")
DIFFERENCES: Final = frozenset({"objectives", "runtime"})
"""Tests that fail there; docs/kit.md has the reasons."""


@pytest.fixture(scope="module")
def tests(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The files of the tests of a kit."""
    folder = tmp_path_factory.mktemp("kit")
    write(kit_files(described(ORDERS, "orders"), REAL), folder)
    return sorted((folder / "prometheus/tests").glob("*.yml"))


def unittest(*paths: Path) -> tuple[int, str]:
    command = [built(*VMALERT_TOOL), "unittest", "-disableAlertgroupLabel", *(f"-files={path}" for path in paths)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    return done.returncode, done.stdout + done.stderr


def test_the_tests_of_the_rules_pass(tests: list[Path]) -> None:
    same = [path for path in tests if path.stem not in DIFFERENCES]
    code, said = unittest(*same)
    assert (code, said.count("SUCCESS")) == (0, len(same)), said


def test_the_restarts_of_a_new_process_are_counted_one_higher(tests: list[Path]) -> None:
    code, said = unittest(*(path for path in tests if path.stem == "runtime"))
    assert code == 1
    assert said.count("alertname: ") == 1
    assert "restarted 3 times within 30m" in said
    assert "restarted 4 times within 30m" in said
