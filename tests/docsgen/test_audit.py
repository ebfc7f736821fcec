"""An audit is an all-clear only if every package could be asked about."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CLEAN: dict[str, Any] = {"name": "starlette", "version": "1.0", "vulns": []}
BAD: dict[str, Any] = {"name": "jinja2", "version": "2.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"]}]}
UNKNOWN: dict[str, Any] = {"name": "httpx", "skip_reason": "Dependency not found on PyPI and could not be audited"}


@pytest.mark.parametrize(
    ("packages", "status", "said"),
    [
        ([CLEAN], 0, "no known vulnerability in 1 packages"),
        ([CLEAN, BAD], 1, "jinja2 2.0: PYSEC-1"),
        ([CLEAN, UNKNOWN], 2, "could not be asked about 1 of 2 packages"),
        ([UNKNOWN, BAD], 1, "jinja2 2.0: PYSEC-1"),
        ([], 2, "NO RESULT"),
        (None, 2, "NO RESULT"),
    ],
    ids=["clean", "vulnerable", "not asked", "vulnerable and not asked", "nothing", "no report"],
)
def test_only_a_database_that_knows_every_package_gives_an_all_clear(
    tmp_path: Path, packages: list[dict[str, Any]] | None, status: int, said: str
) -> None:
    report = tmp_path / "report.json"
    if packages is not None:
        report.write_text(json.dumps({"dependencies": packages, "fixes": []}))
    result = subprocess.run(
        [sys.executable, "-m", "docsgen.audit", str(report)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )

    assert (result.returncode, said in result.stdout) == (status, True), result.stdout
