"""The tests of rules under VictoriaMetrics: what they say about alerts is no peculiarity of Prometheus.

Its tool names a test of an expression `metricsql_expr_test`, keeps the name of a metric in the result of `round`, and
adds the group to `ALERTS`; otherwise the files are those of `promtool test rules`. docs/kit.md has what differs for
users.
"""

import re
import subprocess
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from lab.kit.build import kit_files, write
from prometheus.duration import REAL
from prometheus.generated import ROOT
from tests.lab.kit.services import ORDERS, described
from tests.servers.go_program import built

DIFFERENCES: Final = frozenset({"objectives", "runtime"})
"""Tests of a kit that fail there; docs/kit.md has the reasons."""

OWN: Final = sorted((ROOT / "prometheus/tests").glob("*.yml"))
DIFFERENT: Final = frozenset(
    {
        "one request in eleven fails for half an hour",
        "half of the boards is too slow for half an hour",
        "the threshold of a whole second is found however Prometheus writes it",
        "failures go on being counted over a restart",
        "a container starts four times within ten minutes",
    }
)
"""Tests with another result there: of a burn rate, whose value in an annotation differs and whose alert may come later,
and of restarts, of which the first sample counts."""


@pytest.fixture(scope="module")
def tests(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The files of the tests of a kit."""
    folder = tmp_path_factory.mktemp("kit")
    write(kit_files(described(ORDERS, "orders"), REAL), folder)
    return sorted((folder / "prometheus/tests").glob("*.yml"))


def unittest(*paths: Path) -> tuple[int, str]:
    command = [built("vmalert-tool"), "unittest", "-disableAlertgroupLabel", *(f"-files={path}" for path in paths)]
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


def adapted(path: Path, folder: Path, tests: Collection[dict[str, Any]]) -> Path:
    """Write these tests of the file for the tool, and return where."""
    document = yaml.load(path.read_text("utf-8"), Loader=yaml.CSafeLoader)
    document["rule_files"] = [str((path.parent / one).resolve()) for one in document["rule_files"]]
    document["tests"] = [test | {"metricsql_expr_test": _of_expressions(test)} for test in tests]
    for test in document["tests"]:
        test.pop("promql_expr_test", None)
    (folder / path.name).write_text(yaml.safe_dump(document), "utf-8")
    return folder / path.name


def _of_expressions(test: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        one
        | {
            "expr": f'label_del({one["expr"]}, "__name__", "alertgroup")',
            "exp_samples": [
                sample | {"labels": re.sub(r"^[^{]+", "", sample["labels"])} for sample in one["exp_samples"]
            ],
        }
        for one in test.get("promql_expr_test", [])
    ]


def own_tests(path: Path) -> Sequence[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.load(path.read_text("utf-8"), Loader=yaml.CSafeLoader)["tests"]
    return found


def test_the_committed_tests_pass(tmp_path: Path) -> None:
    same = [
        adapted(path, tmp_path, [test for test in own_tests(path) if test["name"] not in DIFFERENT]) for path in OWN
    ]
    code, said = unittest(*same)
    assert (code, said.count("SUCCESS")) == (0, len(OWN)), said


@pytest.mark.parametrize("file", ["budget", "runtime"])
def test_the_others_differ_in_a_value_or_in_the_time_of_an_alert(tmp_path: Path, file: str) -> None:
    (path,) = (one for one in OWN if one.stem == file)
    others = [test for test in own_tests(path) if test["name"] in DIFFERENT]
    code, said = unittest(adapted(path, tmp_path, others))
    assert code == 1
    assert set(re.findall(r"^testGroupName: (.+),$", said, re.MULTILINE)) == {test["name"] for test in others}
